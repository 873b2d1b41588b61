/** Writing into the parts of a document: keys go where Weft writes them, objects come and go with what is in them. */
import type { Draft } from "./draft";
import { nodesPath, targetOf, targetText, uiPath } from "./graph";
import { entriesOf, isList, isObject, keysOf, own } from "./objects";
import type { Json, Place } from "./types";

type Path = readonly string[];

const DOCUMENT = ["weft", "meta", "nodes", "definitions", "parameters", "ui"];
const NODE = ["type", "version", "mode", "retry", "timeout", "inputs"];
const DEFINITION = ["description", "inputs", "nodes", "outputs", "ui"];
const INPUT = ["type", "default", "description"];
const OUTPUT = ["link", "type", "description"];

/** The order in which Weft writes the keys of the object that holds the last key of a path. */
function orderAt(path: Path): readonly string[] {
  const [first, , part] = path;
  if (path.length === 1) return DOCUMENT;
  if (first === "nodes" && path.length === 3) return NODE;
  if (first !== "definitions") return [];
  if (path.length === 3) return DEFINITION;
  if (path.length !== 5) return [];
  return part === "nodes" ? NODE : part === "inputs" ? INPUT : part === "outputs" ? OUTPUT : [];
}

/** The key before which a new one stands, so that the file has the order that Weft writes. */
function placeFor(object: object | null, path: Path): string | null {
  const order = orderAt(path);
  const rank = order.indexOf(path.at(-1) ?? "");
  if (rank < 0) return null;
  const later = (key: string): boolean => {
    const other = order.indexOf(key);
    return other < 0 || other > rank;
  };
  return keysOf(object).find(later) ?? null;
}

/** Sets what is at a path and makes the objects on the way. */
export function write(draft: Draft, path: Path, value: unknown, before?: string | null): void {
  for (let length = 1; length < path.length; length += 1) {
    const at = path.slice(0, length);
    const there = draft.get(at);
    if (there === undefined || !isObject(there)) set(draft, at, {});
  }
  set(draft, path, value, before);
}

function set(draft: Draft, path: Path, value: unknown, before?: string | null): void {
  const parent = draft.get(path.slice(0, -1));
  draft.set(path, value, before === undefined ? placeFor(isObject(parent) ? parent : null, path) : before);
}

/** Removes what is at a path, and the sections that are empty without it. */
export function erase(draft: Draft, path: Path): void {
  if (draft.get(path) === undefined) return;
  draft.remove(path);
  for (let at = path.slice(0, -1); at.length > 0 && isSection(at); at = at.slice(0, -1)) {
    const object = draft.get(at);
    if (!isObject(object) || keysOf(object).length > 0) return;
    draft.remove(at);
  }
}

/** Sections that Weft leaves out when they are empty. */
function isSection(path: Path): boolean {
  const [first, , part] = path;
  if (first === "ui") return true;
  if (path.length === 1) return first === "meta" || first === "definitions" || first === "parameters";
  if (first === "nodes") return path.length === 3 && part === "inputs";
  if (first !== "definitions") return false;
  if (path.length === 3) return part === "inputs" || part === "outputs" || part === "ui";
  return path.length === 5 && part === "nodes" && path[4] === "inputs";
}

/** Sets a key, or removes it for undefined. */
export function put(draft: Draft, path: Path, value: unknown): void {
  if (value === undefined) erase(draft, path);
  else write(draft, path, value);
}

/** Gives a key another name; it keeps its place. */
export function renameKey(draft: Draft, path: Path, name: string): void {
  const old = path.at(-1);
  const value = draft.get(path);
  if (old === undefined || value === undefined || old === name) return;
  draft.set([...path.slice(0, -1), name], value, old);
  draft.remove(path);
}

/** Where an input of a node stands. */
export function inputPath(place: Place, node: string, input: string): string[] {
  return [...nodesPath(place), node, "inputs", input];
}

/** A text that names nothing yet in an object: `group_1`, `group_2`. */
export function freshKey(object: Json | undefined, stem: string): string {
  for (let number = 1; ; number += 1) {
    const key = `${stem}_${number}`;
    if (!isObject(object) || own(object, key) === undefined) return key;
  }
}

/**
 * Gives the ends of wires that the editor remembers (bends and tags) other names. `change` gets an end and gives the new one,
 * itself, or null where the wire is gone.
 */
export function changeEnds(draft: Draft, place: Place, change: (end: EndOfWire) => EndOfWire | null): void {
  const ui = draft.get(uiPath(place));
  if (!isObject(ui)) return;
  const bends = own(ui, "#reroutes");
  for (const [id, bend] of isObject(bends) ? entriesOf(bends) : []) {
    const target = isObject(bend) ? own(bend, "target") : undefined;
    if (typeof target !== "string") continue;
    const changed = change(targetOf(target));
    const path = [...uiPath(place), "#reroutes", id];
    if (changed === null) erase(draft, path);
    else if (targetText(changed) !== target) draft.set([...path, "target"], targetText(changed));
  }
  for (const [id, card] of entriesOf(ui)) {
    const tags = !id.startsWith("#") && isObject(card) ? own(card, "tags") : undefined;
    if (!isList(tags)) continue;
    const kept = tags.flatMap((tag) => {
      const changed = typeof tag === "string" ? change(targetOf(`${id}.${tag}`)) : null;
      return changed === null || changed.node !== id ? [] : [targetText(changed).slice(id.length + 1)];
    });
    if (kept.length === tags.length && kept.every((tag, index) => tag === tags[index])) continue;
    put(draft, [...uiPath(place), id, "tags"], kept.length > 0 ? kept : undefined);
  }
}

/** The end of a wire, read from what the editor remembers. */
export interface EndOfWire {
  readonly node: string;
  readonly input: string;
  readonly index: number | null;
}
