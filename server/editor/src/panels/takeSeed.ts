/** Brings the seeds of another workflow into the one that is shown. */
import { setInputs } from "../document/edits";
import { inputOf } from "../document/graph";
import { numberOf } from "../document/numbers";
import { valueWords } from "../document/difference";
import type { Document, Json } from "../document/types";
import { say } from "../state/notices";
import { seedInputs } from "../state/seeds";
import { tabOf, useWorkspace } from "../state/workspace";

/** Seeds that a workflow sets, by `node.input`. */
export function seedsIn(document: Document): Map<string, Json> {
  const found = new Map<string, Json>();
  for (const key of seedInputs(document)) {
    const [node = "", input = ""] = split(key);
    const value = inputOf(document, null, node, input);
    if (value !== undefined && numberOf(value) !== null) found.set(key, value);
  }
  return found;
}

function split(key: string): [string, string] {
  const dot = key.indexOf(".");
  return [key.slice(0, dot), key.slice(dot + 1)];
}

/** Which seed goes where: the same node's by name; one seed goes to the only place there is. */
export function seedsFor(theirs: ReadonlyMap<string, Json>, ours: readonly string[]): Map<string, Json> {
  const found = new Map([...theirs].filter(([key]) => ours.includes(key)));
  const [only] = ours;
  const [first] = theirs.values();
  if (found.size === 0 && ours.length === 1 && only !== undefined && first !== undefined) found.set(only, first);
  return found;
}

/** Sets the seeds of the workflow that is shown to those of another one. */
export function takeSeedOf(document: Document): void {
  const tab = tabOf();
  if (!tab) return;
  const seeds = seedsFor(seedsIn(document), seedInputs(tab.history.document));
  if (seeds.size === 0) return say("None of its seeds has a place in this workflow.");
  const values = [...seeds].map(([key, value]) => [...split(key), value] as const);
  if (!useWorkspace.getState().edit(setInputs(tab.history.document, null, values))) return;
  say([...seeds].map(([key, value]) => `${key} is ${valueWords(value)}`).join(", "));
}
