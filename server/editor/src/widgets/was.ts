/** What an input had in a run that is over, for marks of what changed since. */
import { inputOf, nodeOf } from "../document/graph";
import { sameJson } from "../document/objects";
import type { Document, Json, Place } from "../document/types";

/** The value of the run, its default where it had none; undefined where nothing changed, or the node was not in it. */
export function wasOf(before: Document | undefined, place: Place, node: string, input: string, now: Json | undefined, fallback: Json | undefined): Json | undefined {
  if (before === undefined || !nodeOf(before, place, node)) return undefined;
  const old = inputOf(before, place, node, input);
  return sameJson(old, now) ? undefined : (old ?? fallback ?? null);
}
