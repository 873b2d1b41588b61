/**
 * Seeds change before a run and never after, and are written into the document: the field, the picture and the file agree.
 * A seed that made no picture yet is left as it is, so that the first run takes the one that the reader sees.
 */
import { graphOf, inputOf } from "../document/graph";
import { numberOf } from "../document/numbers";
import { entriesOf, own } from "../document/objects";
import { setInputs } from "../document/edits";
import { isRefusal, type Document } from "../document/types";
import { useCatalogue } from "./catalogue";
import type { Tab } from "./types";
import { tabOf, useWorkspace } from "./workspace";

const MOST_REMEMBERED = 100;
const LARGEST = 2 ** 32 - 1;

/** `node.input` as the two that it names; node ids have no dots. */
function parts(key: string): [string, string] {
  const dot = key.indexOf(".");
  return [key.slice(0, dot), key.slice(dot + 1)];
}

/** The inputs of a document's root that are seeds: those with the widget of a seed, else by name. */
export function seedInputs(document: Document): string[] {
  const { catalogue } = useCatalogue.getState();
  const found: string[] = [];
  const { nodes } = graphOf(document, null);
  for (const [id, spec] of entriesOf(nodes)) {
    const type = catalogue?.typeOf(document, spec);
    for (const input of type?.inputs ?? []) {
      const seed = input.widget?.kind === "seed" || (input.name === "seed" && /\bint\b/.test(input.type));
      if (seed && valueOf(document, `${id}.${input.name}`) !== null) found.push(`${id}.${input.name}`);
    }
  }
  return found;
}

/** A seed's number: what the document says, else the default. Null where it is linked, or no number. */
function valueOf(document: Document, key: string): number | null {
  const [node, input] = parts(key);
  const said = inputOf(document, null, node, input);
  if (said !== undefined) return numberOf(said);
  const spec = own(graphOf(document, null).nodes, node);
  const type = spec && useCatalogue.getState().catalogue?.typeOf(document, spec);
  return numberOf(type?.inputs.find(({ name }) => name === input)?.default);
}

/** A number that was not asked for. */
export function randomSeed(): number {
  return crypto.getRandomValues(new Uint32Array(1))[0] ?? 0;
}

/** Before a run: those seeds get their next value that a run has used already. */
export function advanceSeeds(id: string): void {
  const tab = tabOf(id);
  if (!tab) return;
  const changes: [string, string, number][] = [];
  for (const [key, policy] of tab.seeds) {
    const value = valueOf(tab.history.document, key);
    if (policy === "keep" || value === null || usedSeeds(tab, key)[0] !== value) continue;
    changes.push([...parts(key), policy === "random" ? randomSeed() : value >= LARGEST ? 0 : value + 1]);
  }
  write(tab, changes, "seed of the next run");
}

/** Notes which seeds a run takes. */
export function rememberSeeds(id: string, document: Document): void {
  const tab = tabOf(id);
  if (!tab) return;
  const used = new Map(tab.usedSeeds);
  for (const key of new Set([...seedInputs(document), ...tab.seeds.keys()])) {
    const value = valueOf(document, key);
    if (value === null) continue;
    used.set(key, [value, ...(used.get(key) ?? []).filter((item) => item !== value)].slice(0, MOST_REMEMBERED));
  }
  useWorkspace.getState().patch(id, { usedSeeds: used });
}

function usedSeeds(tab: Tab, key: string): readonly number[] {
  return tab.usedSeeds.get(key) ?? [];
}

/** Steps back to the seeds of the run before; false when there is none. */
export function seedBefore(id?: string): boolean {
  const tab = tabOf(id);
  if (!tab) return false;
  const changes: [string, string, number][] = [];
  for (const key of seedInputs(tab.history.document)) {
    const used = usedSeeds(tab, key);
    const value = valueOf(tab.history.document, key);
    const at = value === null ? -1 : used.indexOf(value);
    const before = used[at + 1];
    if (before !== undefined && before !== value) changes.push([...parts(key), before]);
  }
  return write(tab, changes, "seed before");
}

/** Draws new seeds: of one input, else of all that the document has. */
export function drawSeed(id?: string, nodeInput?: string): boolean {
  const tab = tabOf(id);
  if (!tab) return false;
  const keys = nodeInput === undefined ? seedInputs(tab.history.document) : [nodeInput];
  const changes = keys.map((key): [string, string, number] => [...parts(key), randomSeed()]);
  return write(tab, changes, "draw a seed");
}

function write(tab: Tab, changes: readonly (readonly [string, string, number])[], label: string): boolean {
  if (changes.length === 0) return false;
  const attempt = setInputs(tab.history.document, null, changes);
  if (isRefusal(attempt)) return false;
  return useWorkspace.getState().edit({ ...attempt, label }, { tab: tab.id });
}
