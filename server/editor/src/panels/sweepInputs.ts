/** Which inputs of a workflow a sweep can vary, and what is suggested for them. */
import { inputOf, isLink } from "../document/graph";
import { numberOf } from "../document/numbers";
import { entriesOf, isList } from "../document/objects";
import type { Document } from "../document/types";
import { valueWords } from "../document/difference";
import type { Catalogue } from "../catalogue/catalogue";
import type { InputType } from "../catalogue/types";

export interface SweepInput {
  readonly key: string;
  readonly node: string;
  readonly input: string;
  readonly type: InputType;
  readonly seed: boolean;
}

const PLAIN = /\b(int|float|str|bool)\b|^"/;

/** Inputs of the root that have, or may have, a plain value; seeds first, then those that are set. */
export function sweepInputs(document: Document, catalogue: Catalogue): SweepInput[] {
  const found: (SweepInput & { readonly rank: number })[] = [];
  for (const [node, spec] of entriesOf(document.nodes)) {
    for (const type of catalogue.typeOf(document, spec)?.inputs ?? []) {
      const value = inputOf(document, null, node, type.name);
      if (!PLAIN.test(type.type) || /^list\[/.test(type.type) || isLink(value) || isList(value)) continue;
      const seed = type.widget?.kind === "seed" || (type.name === "seed" && /\bint\b/.test(type.type));
      found.push({ key: `${node}.${type.name}`, node, input: type.name, type, seed, rank: seed ? 0 : value === undefined ? 2 : 1 });
    }
  }
  return found.toSorted((a, b) => a.rank - b.rank);
}

/** What stands in the field at first: ten seeds from the one there is, values around a number, all choices. */
export function suggested({ node, input, type, seed }: SweepInput, document: Document): string {
  const value = inputOf(document, null, node, input) ?? type.default;
  const number = numberOf(value);
  if (seed) return `${number ?? 0} to ${(number ?? 0) + 9}`;
  if (type.choices && type.choices.length > 0) return type.choices.map(valueWords).join(", ");
  if (type.type === "bool") return "true, false";
  if (number === null) return value === undefined ? "" : valueWords(value);
  if (/\bint\b/.test(type.type) && !/\bfloat\b/.test(type.type)) return [number, number * 2, number * 3].map(String).join(", ");
  return number === 0 ? "0, 0.5, 1" : [0, number / 2, number, number * 1.5].map((one) => String(Number(one.toPrecision(4)))).join(", ");
}
