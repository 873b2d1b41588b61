/** Cards too small for text: blocks on one drawing (DESIGN.md, 9). */
import type { FaceState } from "../state/types";
import type { Box } from "./neighbours";

export interface Block extends Box {
  readonly id: string;
  readonly family: string;
}

export interface BlockThread {
  readonly path: string;
  readonly family: string;
  readonly source: string;
  readonly target: string;
  readonly from: readonly [number, number];
  readonly to: readonly [number, number];
}

/** How strongly a block has the hue of what it makes. */
export function strength(state: FaceState): number {
  if (state === "muted" || state === "left-out" || state === "bypassed") return 0.16;
  if (state === "memory" || state === "disk" || state === "unneeded" || state === "unknown") return 0.36;
  return 0.8;
}

/** States whose mark keeps a size at any zoom. */
export function standsOut(state: FaceState): "running" | "failed" | null {
  if (state === "running") return "running";
  if (state === "failed" || state === "problem" || state === "missing") return "failed";
  return null;
}

export interface Bundle {
  readonly family: string;
  readonly from: readonly [number, number];
  readonly to: readonly [number, number];
  readonly count: number;
}

/** One line for all threads between the same two groups; a node of no group stands for itself, and threads within a group go. */
export function bundles(threads: readonly BlockThread[], groupOf: ReadonlyMap<string, string>): Bundle[] {
  const found = new Map<string, { family: string; from: [number, number]; to: [number, number]; count: number }>();
  for (const thread of threads) {
    const a = groupOf.get(thread.source);
    const b = groupOf.get(thread.target);
    if (a !== undefined && a === b) continue;
    const key = JSON.stringify([a ?? thread.source, a !== undefined, b ?? thread.target, b !== undefined, thread.family]);
    const bundle = found.get(key);
    if (bundle === undefined) found.set(key, { family: thread.family, from: [...thread.from], to: [...thread.to], count: 1 });
    else {
      bundle.count += 1;
      for (const at of [0, 1] as const) {
        bundle.from[at] += (thread.from[at] - bundle.from[at]) / bundle.count;
        bundle.to[at] += (thread.to[at] - bundle.to[at]) / bundle.count;
      }
    }
  }
  return [...found.values()];
}
