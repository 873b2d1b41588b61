/** What a card shows of a node's inputs, and over which range a number is drawn. */
import { cardUi, inputsOf, isLink, nodeOf } from "../document/graph";
import { numberOf } from "../document/numbers";
import { entriesOf, isList, keysOf, own, sameJson } from "../document/objects";
import type { Document, Json, Place } from "../document/types";
import type { Catalogue } from "./catalogue";
import type { InputType } from "./types";

const FIRST: ReadonlySet<string> = new Set(["text", "seed", "source", "scale", "steps", "name"]);

/** The inputs that a card shows before anybody says which: those that a parameter names, and some by their name. */
export function pinnedAtFirst(document: Document, place: Place, id: string, catalogue: Catalogue): string[] {
  const spec = nodeOf(document, place, id);
  const type = spec && catalogue.typeOf(document, spec);
  if (!spec || !type) return keysOf(inputsOf(spec)).filter((name) => FIRST.has(name) && !isLinked(own(inputsOf(spec), name)));
  const named = new Set<string>();
  if (place === null) {
    for (const [, parameter] of entriesOf(document.parameters)) {
      if (parameter.input.startsWith(`${id}.`)) named.add(parameter.input.slice(id.length + 1));
    }
  }
  return type.inputs.filter((input) => canPin(input) && (named.has(input.name) || FIRST.has(input.name))).map((input) => input.name);
}

/** The inputs that a card shows as fields: those of the first and those that the user pinned, in the type's order, none that is linked. */
export function pinnedOn(document: Document, place: Place, id: string, catalogue: Catalogue): string[] {
  const { pinned = [], unpinned = [] } = cardUi(document, place, id);
  const spec = nodeOf(document, place, id);
  const shown = new Set([...pinnedAtFirst(document, place, id, catalogue), ...pinned]);
  for (const name of unpinned) shown.delete(name);
  const names = (spec && catalogue.typeOf(document, spec)?.inputs.map((input) => input.name)) ?? keysOf(inputsOf(spec));
  return names.filter((name) => shown.has(name) && !isLinked(own(inputsOf(spec), name)));
}

function isLinked(value: Json | undefined): boolean {
  return isLink(value) || (isList(value) && value.some(isLink));
}

/** Whether an input can have a value of its own: what is made by nodes alone (a model, an image) cannot. */
export function canPin(input: InputType): boolean {
  return isValueType(input.type);
}

const VALUES = /\b(?:int|float|str|bool|any|Path|dict)\b|"/;

/** Whether literals of a type exist at all. */
export function isValueType(type: string): boolean {
  return VALUES.test(type);
}

/** The default of an input; undefined where it has none. */
export function defaultOf(input: InputType): Json | undefined {
  return input.default;
}

/** The range that a number's gauge is drawn over; null where there is none. */
export function gaugeRange(input: InputType): readonly [number, number] | null {
  if (input.usual) return input.usual;
  const low = numberOf(input.range?.[0]);
  const high = numberOf(input.range?.[1]);
  if (low === null || high === null || input.widget?.kind === "seed") return null;
  const normal = numberOf(input.default) ?? 0;
  if (normal > 0 && high > 8 * normal) return [Math.min(low, 0), 4 * normal];
  return [low, high];
}

/** The values of a node that are not the default and not shown as fields: the quiet line of a card. */
export function restOf(document: Document, place: Place, id: string, catalogue: Catalogue): { name: string; value: Json }[] {
  const spec = nodeOf(document, place, id);
  const type = spec && catalogue.typeOf(document, spec);
  const shown = new Set(pinnedOn(document, place, id, catalogue));
  return entriesOf(inputsOf(spec)).flatMap(([name, value]) => {
    if (shown.has(name) || isLinked(value)) return [];
    const normal = type?.inputs.find((input) => input.name === name)?.default;
    return normal !== undefined && sameValue(normal, value) ? [] : [{ name, value }];
  });
}

/** Whether two values mean the same to a reader: 7 and 7.0 do. */
export function sameValue(a: Json, b: Json): boolean {
  const number = numberOf(a);
  return sameJson(a, b) || (number !== null && number === numberOf(b));
}
