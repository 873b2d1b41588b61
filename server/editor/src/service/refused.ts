import type { Problem } from "./types";

/** The server said no: `application/problem+json` as an error (docs/server.md). */
export class Refused extends Error {
  constructor(
    readonly status: number,
    readonly code: string,
    readonly detail: string,
    readonly problems: readonly Problem[] = [],
    /** Seconds after which it may be tried again, where the server says so. */
    readonly retryAfter: number | null = null,
  ) {
    super(detail);
    this.name = "Refused";
  }
}

/** No answer: the server is gone, or the network. */
export class Unreachable extends Error {
  constructor(cause?: unknown) {
    super("The server does not answer.", { cause });
    this.name = "Unreachable";
  }
}

/** What an error says to the reader. */
export function words(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
