/** Whether the server is there. */
import { create } from "zustand";

export interface ConnectionInfo {
  readonly state: "connecting" | "connected" | "lost";
  /** When it became so, in milliseconds since 1970. */
  readonly since: number;
  /** When it is tried again, while it is lost. */
  readonly retryAt: number | null;
  /** How many events were missed and told again after the last loss; null while there was none. */
  readonly caughtUp: number | null;
  /** The server wants a token that this page does not have. */
  readonly locked: boolean;
  tryNow(): void;
}

export const useConnection = create<ConnectionInfo>(() => ({
  state: "connecting",
  since: Date.now(),
  retryAt: null,
  caughtUp: null,
  locked: false,
  tryNow: () => {},
}));
