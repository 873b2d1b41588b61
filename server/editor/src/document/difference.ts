/** What differs between two workflows, in the words of a reader: "sega.scale 2.0, 0.0". */
import { graphOf, inputsOf, isLink, literalOf, placesOf } from "./graph";
import { jsonText } from "./json";
import { numberOf } from "./numbers";
import { has, isList, keysOf, own, sameJson } from "./objects";
import type { Document, Json, JsonObject, NodeSpec, Place } from "./types";

export interface Difference {
  /** The node; inside a definition with its name before it: `picture/denoise`. "" for the document itself. */
  readonly node: string;
  readonly input?: string;
  readonly was?: Json;
  readonly now?: Json;
  readonly what: "added" | "removed" | "changed" | "linked" | "type" | "mode" | "title" | "parameter" | "output";
}

/** All that makes another result or another workflow, in the order of the nodes; places and notes do not count. */
export function differences(a: Document, b: Document): Difference[] {
  const places = [...placesOf(a), ...placesOf(b).filter((place) => place !== null && !has(a.definitions, place))];
  return [...documentDifferences(a, b), ...places.flatMap((place) => placeDifferences(a, b, place))];
}

function documentDifferences(a: Document, b: Document): Difference[] {
  const found: Difference[] = [];
  for (const key of ["title", "description"]) changed(found, { node: "", input: key, what: "title" }, own(a.meta, key), own(b.meta, key));
  for (const name of both(a.parameters, b.parameters)) {
    const of = (document: Document): Json | undefined => own(document.parameters, name)?.input;
    changed(found, { node: "", input: name, what: "parameter" }, of(a), of(b));
  }
  return found;
}

function placeDifferences(a: Document, b: Document, place: Place): Difference[] {
  const before = graphOf(a, place);
  const after = graphOf(b, place);
  if (before.nodes === after.nodes && before.definition === after.definition) return [];
  const found: Difference[] = [];
  const prefix = place === null ? "" : `${place}/`;
  for (const id of both(before.nodes, after.nodes)) {
    nodeDifferences(found, prefix + id, own(before.nodes, id), own(after.nodes, id));
  }
  for (const kind of ["inputs", "outputs"] as const) {
    const was = before.definition?.[kind] as JsonObject | undefined;
    const now = after.definition?.[kind] as JsonObject | undefined;
    for (const name of both(was, now)) changed(found, { node: place ?? "", input: name, what: "output" }, own(was, name), own(now, name));
  }
  return found;
}

function nodeDifferences(found: Difference[], node: string, was: NodeSpec | undefined, now: NodeSpec | undefined): void {
  if (was === now) return;
  if (!was || !now) {
    if (was) found.push({ node, was: was.type, what: "removed" });
    if (now) found.push({ node, now: now.type, what: "added" });
    return;
  }
  changed(found, { node, what: "type" }, was.type, now.type);
  changed(found, { node, what: "mode" }, was.mode, now.mode);
  for (const key of ["version", "retry", "timeout"]) changed(found, { node, input: key, what: "changed" }, own(was as JsonObject, key), own(now as JsonObject, key));
  for (const input of both(inputsOf(was), inputsOf(now))) {
    const from = own(inputsOf(was), input);
    const to = own(inputsOf(now), input);
    changed(found, { node, input, what: hasLink(from) || hasLink(to) ? "linked" : "changed" }, from, to);
  }
}

function changed(found: Difference[], what: Difference, was: Json | undefined, now: Json | undefined): void {
  if (was === undefined ? now === undefined : now !== undefined && same(was, now)) return;
  found.push({ ...what, ...(was === undefined ? {} : { was }), ...(now === undefined ? {} : { now }) });
}

/** 7 and 7.0 are no difference to a reader. */
function same(a: Json, b: Json): boolean {
  if (sameJson(a, b)) return true;
  return numberOf(a) !== null && String(a) !== String(b) && numberOf(a) === numberOf(b) && Number.isSafeInteger(numberOf(a));
}

function hasLink(value: Json | undefined): boolean {
  return isLink(value) || (isList(value) && value.some(isLink));
}

function both(a: object | undefined | null, b: object | undefined | null): string[] {
  const first = keysOf(a);
  return [...first, ...keysOf(b).filter((key) => !has(a, key))];
}

/** A value of a difference as a person reads it: `taught.model` for a link, a text without quotes. */
export function valueWords(value: Json | undefined): string {
  if (value === undefined) return "not set";
  if (isLink(value)) return value.link;
  if (isList(value)) return value.map(valueWords).join(", ");
  const literal = literalOf(value);
  return typeof literal === "string" ? literal : jsonText(literal ?? value);
}
