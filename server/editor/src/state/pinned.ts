/** Pictures that the reader pinned: what the next run makes is compared with them. */
import { create } from "zustand";
import { api } from "../service/api";

/** A picture that stays: of a run's output, or of how far a node was. */
export interface Pinned {
  readonly source: string;
  readonly number: number;
  readonly job: string;
  /** The file's content id, where the server has it; such a pin outlives the page. */
  readonly file?: string;
}

export const KEY = "weft.pinned";

/** By `tab node`, the node's path as in a run. Node ids have no spaces. */
export const usePinned = create<{ readonly of: ReadonlyMap<string, Pinned> }>(() => ({ of: stored() }));

export const key = (tab: string, node: string) => `${tab} ${node}`;

function stored(): Map<string, Pinned> {
  const found = new Map<string, Pinned>();
  try {
    const said: unknown = JSON.parse(localStorage.getItem(KEY) ?? "[]");
    if (!Array.isArray(said)) return found;
    for (const one of said) {
      if (!Array.isArray(one) || one.length !== 4) continue;
      const [name, file, number, job] = one as unknown[];
      if (typeof name !== "string" || typeof file !== "string" || typeof number !== "number" || typeof job !== "string") continue;
      found.set(name, { source: api.fileUrl(file), number, job, file });
    }
  } catch {
    // A browser that keeps nothing has no pins at first.
  }
  return found;
}

export function pinOf(tab: string, node: string): Pinned | undefined {
  return usePinned.getState().of.get(key(tab, node));
}

/** Whether a node's picture is pinned, in a component. */
export function usePin(tab: string, node: string): Pinned | undefined {
  return usePinned((state) => state.of.get(key(tab, node)));
}
