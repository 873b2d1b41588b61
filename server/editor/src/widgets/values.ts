/** Values of inputs as text and in words. */
import { JsonNumber, jsonNumber, numberText as textOfNumber, shownNumber } from "../document/numbers";
import { isLink } from "../document/graph";
import { entriesOf, isList, isObject, keysOf, own } from "../document/objects";
import type { Json } from "../document/types";

/** The text of a number, or null for what is none. */
export function numberText(value: Json | undefined): string | null {
  return typeof value === "number" || value instanceof JsonNumber ? textOfNumber(value) : null;
}

/** A number's text as a value: floats stay floats, and integers keep all their digits. */
export function numberJson(text: string, whole: boolean): Json {
  return jsonNumber(text, whole ? "int" : "float") ?? 0;
}

/** A literal as it is meant: what stands under `value` is taken as it is. */
export function meant(value: Json | undefined): Json | undefined {
  const wrapped = isObject(value) && keysOf(value).length === 1 ? own(value, "value") : undefined;
  return wrapped === undefined ? value : wrapped;
}

/** Whether anything in an input's value is a link. */
export function linked(value: Json | undefined): boolean {
  return isLink(value) || (isList(value) && value.some(isLink));
}

const LONGEST = 60;

/** A value in few words: for rows of the outline, defaults, and what does not fit a card. */
export function valueWords(value: Json | undefined): string {
  if (isLink(value)) return value.link;
  const literal = meant(value);
  if (literal === undefined) return "";
  if (literal === null) return "none";
  if (literal === true) return "on";
  if (literal === false) return "off";
  if (typeof literal === "number" || literal instanceof JsonNumber) return shownNumber(literal);
  if (typeof literal === "string") return literal === "" ? "empty" : cut(fileName(literal));
  if (isList(literal)) return literal.length === 0 ? "none" : cut(literal.map(valueWords).join(", "));
  const entries = entriesOf(literal as { readonly [key: string]: Json });
  return entries.length === 0 ? "none" : cut(entries.map(([key, item]) => `${key} ${valueWords(item)}`).join(", "));
}

function cut(text: string): string {
  const line = text.replace(/\s+/g, " ");
  return line.length <= LONGEST ? line : `${line.slice(0, LONGEST - 1)}…`;
}

/** A content id is 71 letters that say nothing: its first eight do for telling two apart. */
export function fileName(text: string): string {
  return /^sha256:[0-9a-f]{64}$/.test(text) ? `file ${text.slice(7, 15)}` : text;
}


