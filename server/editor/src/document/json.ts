/** Strict JSON: what docs/document.md allows in a text, with the place of what it does not; and the text that Weft writes. */
import { JsonNumber, numberFault, numberFromText, numberText } from "./numbers";
import { isList, keysOf, markClean, objectOf } from "./objects";
import type { Json } from "./types";

/** Bounds on what is read, as the server has them. */
export const LIMITS = { bytes: 8 * 1024 * 1024, nodes: 10_000, depth: 64, inside: 16, problems: 1000 } as const;

/** Why a text cannot be read. `problem` is a whole sentence, which names the place where there is one. */
export interface Unreadable {
  readonly problem: string;
  readonly line?: number;
  readonly column?: number;
}

class Fault extends Error {
  constructor(
    readonly at: number | null,
    message: string,
  ) {
    super(message);
  }
}

const SPACE = /[ \t\n\r]*/y;
const NUMBER = /-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?/y;
const WORD = /-?(?:NaN|Infinity)/y;
const PLAIN = /[^"\\\u0000-\u001f]*/y;
const ESCAPES: ReadonlyMap<string, string> = new Map([
  ['"', '"'],
  ["\\", "\\"],
  ["/", "/"],
  ["b", "\b"],
  ["f", "\f"],
  ["n", "\n"],
  ["r", "\r"],
  ["t", "\t"],
]);

/** Reads JSON text. Never throws. */
export function readJson(source: string): { value: Json } | Unreadable {
  const text = source.startsWith("\ufeff") ? source.slice(1) : source;
  try {
    const size = source.length * 3 <= LIMITS.bytes ? 0 : new TextEncoder().encode(source).length;
    if (size > LIMITS.bytes) {
      throw new Fault(null, `The document has ${grouped(size)} bytes; at most ${grouped(LIMITS.bytes)} are read.`);
    }
    const half = loneSurrogate(text);
    if (half >= 0) throw new Fault(half, "half of a surrogate pair stands alone; it is not text.");
    if (text.trim() === "") throw new Fault(null, "The document is empty.");
    return { value: new Reader(text).all() };
  } catch (error) {
    if (!(error instanceof Fault)) throw error;
    if (error.at === null) return { problem: error.message };
    const { line, column } = placeOf(text, error.at);
    return { problem: `Line ${line}, column ${column}: ${error.message}`, line, column };
  }
}

/** A whole number with commas, as the server's messages have it. */
export function grouped(count: number): string {
  return count.toLocaleString("en-US");
}

function placeOf(text: string, offset: number): { line: number; column: number } {
  let line = 1;
  let start = 0;
  for (let at = text.indexOf("\n"); at >= 0 && at < offset; at = text.indexOf("\n", at + 1)) {
    line += 1;
    start = at + 1;
  }
  return { line, column: lengthOf(text.slice(start, offset)) + 1 };
}

/** The length in characters, as Python counts them. */
export function lengthOf(text: string): number {
  let count = text.length;
  for (let index = 0; index < text.length - 1; index += 1) {
    const code = text.charCodeAt(index);
    if (code >= 0xd800 && code < 0xdc00) count -= 1;
  }
  return count;
}

/** Where half of a surrogate pair stands, or -1. */
export function loneSurrogate(text: string): number {
  for (let index = 0; index < text.length; index += 1) {
    const code = text.charCodeAt(index);
    if (code < 0xd800 || code > 0xdfff) continue;
    const next = text.charCodeAt(index + 1);
    if (code >= 0xdc00 || !(next >= 0xdc00 && next <= 0xdfff)) return index;
    index += 1;
  }
  return -1;
}

class Reader {
  private at = 0;
  private depth = 0;

  constructor(private readonly text: string) {}

  all(): Json {
    this.space();
    const value = this.value();
    this.space();
    if (this.at < this.text.length) this.fault("extra data");
    return value;
  }

  private fault(what: string, at = this.at): never {
    throw new Fault(at, `not JSON: ${what}.`);
  }

  private space(): void {
    SPACE.lastIndex = this.at;
    SPACE.test(this.text);
    this.at = SPACE.lastIndex;
  }

  private value(): Json {
    switch (this.text[this.at]) {
      case "{":
        return this.inside(() => this.object());
      case "[":
        return this.inside(() => this.list());
      case '"':
        return this.string();
      case "t":
        return this.word("true", true);
      case "f":
        return this.word("false", false);
      case "n":
        return this.word("null", null);
      default:
        return this.number();
    }
  }

  private inside<T>(read: () => T): T {
    this.depth += 1;
    if (this.depth > LIMITS.depth) {
      throw new Fault(null, `The document nests brackets more than ${LIMITS.depth} deep.`);
    }
    this.at += 1;
    const result = read();
    this.depth -= 1;
    return result;
  }

  private word<T extends Json>(word: string, value: T): T {
    if (!this.text.startsWith(word, this.at)) this.fault("expecting value");
    this.at += word.length;
    return value;
  }

  private number(): Json {
    const from = this.at;
    WORD.lastIndex = from;
    const word = WORD.exec(this.text);
    if (word) throw new Fault(from, `${word[0]} is not JSON; numbers are finite.`);
    NUMBER.lastIndex = from;
    const match = NUMBER.exec(this.text);
    if (!match) return this.fault("expecting value");
    const fault = numberFault(match[0]);
    if (fault !== null) throw new Fault(from, fault);
    this.at += match[0].length;
    return numberFromText(match[0]);
  }

  private string(): string {
    const from = this.at;
    this.at += 1;
    let result = "";
    for (;;) {
      PLAIN.lastIndex = this.at;
      PLAIN.test(this.text);
      result += this.text.slice(this.at, PLAIN.lastIndex);
      this.at = PLAIN.lastIndex;
      const mark = this.text[this.at];
      if (mark === undefined) this.fault("unterminated string starting at", from);
      if (mark === '"') break;
      if (mark !== "\\") this.fault("invalid control character at");
      result += this.escape();
    }
    this.at += 1;
    if (loneSurrogate(result) >= 0) throw new Fault(from, "half of a surrogate pair stands alone; it is not text.");
    return result;
  }

  private escape(): string {
    const mark = this.text[this.at + 1] ?? "";
    if (mark === "u") {
      const digits = this.text.slice(this.at + 2, this.at + 6);
      if (!/^[0-9a-fA-F]{4}$/.test(digits)) this.fault("invalid \\uXXXX escape");
      this.at += 6;
      return String.fromCharCode(Number.parseInt(digits, 16));
    }
    const result = ESCAPES.get(mark);
    if (result === undefined) this.fault("invalid \\escape");
    this.at += 2;
    return result;
  }

  private list(): Json {
    const items: Json[] = [];
    this.space();
    if (this.text[this.at] === "]") {
      this.at += 1;
      return markClean(items);
    }
    for (;;) {
      this.space();
      items.push(this.value());
      this.space();
      const mark = this.text[this.at];
      if (mark !== "," && mark !== "]") this.fault("expecting ',' delimiter");
      this.at += 1;
      if (mark === "]") return markClean(items);
    }
  }

  private object(): Json {
    const entries: [string, Json][] = [];
    const seen = new Set<string>();
    this.space();
    if (this.text[this.at] === "}") {
      this.at += 1;
      return markClean(objectOf(entries));
    }
    for (;;) {
      this.space();
      const from = this.at;
      if (this.text[from] !== '"') this.fault("expecting property name enclosed in double quotes");
      const key = this.string();
      if (seen.has(key)) throw new Fault(from, `the key ${JSON.stringify(key)} appears twice in one object.`);
      seen.add(key);
      this.space();
      if (this.text[this.at] !== ":") this.fault("expecting ':' delimiter");
      this.at += 1;
      this.space();
      entries.push([key, this.value()]);
      this.space();
      const mark = this.text[this.at];
      if (mark !== "," && mark !== "}") this.fault("expecting ',' delimiter");
      this.at += 1;
      if (mark === "}") return markClean(objectOf(entries));
    }
  }
}

const WIDTH = 110;

/** JSON on one line, as Weft writes it: `{"a": [1, 2.0]}`. For request bodies, too: it keeps every number. */
export function jsonText(value: unknown): string {
  if (value === null || typeof value === "boolean") return String(value);
  if (typeof value === "string") return JSON.stringify(value);
  if (typeof value === "number" || value instanceof JsonNumber) return numberText(value);
  if (isList(value)) return `[${value.map(jsonText).join(", ")}]`;
  const object = value as { readonly [key: string]: unknown };
  const parts: string[] = [];
  for (const key of keysOf(object)) {
    if (object[key] !== undefined) parts.push(`${JSON.stringify(key)}: ${jsonText(object[key])}`);
  }
  return `{${parts.join(", ")}}`;
}

/** JSON laid out for people and for diffs: what fits a line stands on one, what does not is broken (graphs/pretty.py). */
export function prettyJson(value: unknown, indent = 0, used = 0): string {
  const flat = jsonText(value);
  if (typeof value !== "object" || value === null || value instanceof JsonNumber || flat === "{}" || flat === "[]") {
    return flat;
  }
  if (indent > 0 && used + lengthOf(flat) <= WIDTH) return flat;
  const pad = " ".repeat(indent + 2);
  const end = `\n${" ".repeat(indent)}`;
  if (isList(value)) {
    return `[\n${value.map((item) => pad + prettyJson(item, indent + 2, indent + 3)).join(",\n")}${end}]`;
  }
  const lines: string[] = [];
  for (const key of keysOf(value)) {
    const item = (value as { readonly [key: string]: unknown })[key];
    if (item === undefined) continue;
    const label = `${pad}${JSON.stringify(key)}: `;
    lines.push(label + prettyJson(item, indent + 2, lengthOf(label) + 1));
  }
  return `{\n${lines.join(",\n")}${end}}`;
}
