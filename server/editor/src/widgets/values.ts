/** Values of inputs: literals as they are meant and as they are written, numbers as text, and in words. */
import { JsonNumber, jsonNumber, numberText as textOfNumber, shownNumber } from "../document/numbers";
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

/** The `node.output` of a link, or null. */
export function linkText(value: Json | undefined): string | null {
  if (!isObject(value)) return null;
  const keys = keysOf(value);
  const link = keys.length === 1 && keys[0] === "link" ? own(value, "link") : undefined;
  return typeof link === "string" ? link : null;
}

export function linkTo(node: string, output?: string | null): Json {
  return { link: output ? `${node}.${output}` : node };
}

/** Node and output of a link's text. */
export function linkEnds(text: string): { node: string; output: string | null } {
  const dot = text.indexOf(".");
  return dot < 0 ? { node: text, output: null } : { node: text.slice(0, dot), output: text.slice(dot + 1) };
}

function wrapped(value: Json | undefined): boolean {
  if (!isObject(value)) return false;
  const keys = keysOf(value);
  return keys.length === 1 && keys[0] === "value";
}

/** A literal as it is meant: what stands under `value` is taken as it is. */
export function meant(value: Json | undefined): Json | undefined {
  return wrapped(value) ? own(value as { readonly [key: string]: Json }, "value") : value;
}

/** A literal as a document has it: one that would be taken for a link, or for a wrapped one, is wrapped. */
export function written(value: Json): Json {
  return wrapped(value) || holdsLink(value) ? { value } : value;
}

function holdsLink(value: Json): boolean {
  if (isList(value)) return value.some(holdsLink);
  if (!isObject(value)) return false;
  return keysOf(value).includes("link") || entriesOf(value).some(([, item]) => holdsLink(item));
}

/** Whether anything in an input's value is a link. */
export function linked(value: Json | undefined): boolean {
  return linkText(value) !== null || (isList(value) && value.some((item) => linkText(item) !== null));
}

const LONGEST = 60;

/** A value in few words: for rows of the outline, defaults, and what does not fit a card. */
export function valueWords(value: Json | undefined): string {
  const link = linkText(value);
  if (link !== null) return link;
  const literal = meant(value);
  if (literal === undefined) return "";
  if (literal === null) return "none";
  if (literal === true) return "on";
  if (literal === false) return "off";
  if (typeof literal === "number" || literal instanceof JsonNumber) return shownNumber(literal);
  if (typeof literal === "string") return literal === "" ? "empty" : fileName(literal);
  if (isList(literal)) return literal.length === 0 ? "none" : cut(literal.map(valueWords).join(", "));
  const entries = entriesOf(literal);
  return entries.length === 0 ? "none" : cut(entries.map(([key, item]) => `${key} ${valueWords(item)}`).join(", "));
}

function cut(text: string): string {
  return text.length <= LONGEST ? text : `${text.slice(0, LONGEST - 1)}…`;
}

/** A content id is 71 letters that say nothing: its first eight do for telling two apart. */
export function fileName(text: string): string {
  return /^sha256:[0-9a-f]{64}$/.test(text) ? `file ${text.slice(7, 15)}` : text;
}
