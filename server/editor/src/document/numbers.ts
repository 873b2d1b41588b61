/**
 * Numbers as JSON writes them. Python tells `7` from `7.0`, and they have different cache keys; integers have 64 bits, seeds
 * among them. A JavaScript number keeps neither, so a number whose text it would change is a `JsonNumber`, which is that text.
 * Everything else is a plain number: whole ones mean integers, others mean floats.
 */

const INT_MIN = -(2n ** 63n);
const INT_MAX = 2n ** 64n - 1n;

type RawJson = { rawJSON?: (text: string) => unknown };

/** A number by its text: `7.0`, `1e-05`, `9223372036854775807`. Make it with `jsonNumber` or read it from a document. */
export class JsonNumber {
  constructor(readonly text: string) {
    Object.freeze(this);
  }

  /** Whether Python reads it as a float. */
  get float(): boolean {
    return isFloatText(this.text);
  }

  valueOf(): number {
    return Number(this.text);
  }

  toString(): string {
    return this.text;
  }

  /** `JSON.stringify` would write another number; documents are written with `documentText` and `jsonText`. */
  toJSON(): unknown {
    const raw = (JSON as unknown as RawJson).rawJSON;
    if (raw) return raw(this.text);
    throw new TypeError("A document is written with documentText or jsonText: JSON.stringify changes numbers.");
  }
}

function isFloatText(text: string): boolean {
  return /[.eE]/.test(text);
}

/** A float as Python's `repr` writes it: the same digits as JavaScript's, with another rule for the exponent. */
export function pythonFloat(value: number): string {
  if (Object.is(value, -0)) return "-0.0";
  if (Number.isInteger(value) && Math.abs(value) < 1e16) return `${value}.0`;
  const [mantissa = "", power = "0"] = value.toExponential().split("e");
  const exponent = Number(power);
  if (exponent >= -4 && exponent < 16) return String(value);
  return `${mantissa}e${exponent < 0 ? "-" : "+"}${String(Math.abs(exponent)).padStart(2, "0")}`;
}

/** How a number stands in a document. */
export function numberText(value: number | JsonNumber): string {
  if (value instanceof JsonNumber) return value.text;
  return Number.isSafeInteger(value) ? String(value) : pythonFloat(value);
}

/** A number of a document from its text, which has to be one by JSON's grammar; its text is kept. */
export function numberFromText(text: string): number | JsonNumber {
  const value = Number(text);
  return numberText(value) === text ? value : new JsonNumber(text);
}

/** Why a number of right grammar may not stand in a document, or null. */
export function numberFault(text: string): string | null {
  const short = text.length <= 40 ? text : `${text.slice(0, 20)}... (${text.length.toLocaleString("en")} digits)`;
  if (isFloatText(text)) {
    return Number.isFinite(Number(text)) ? null : `the number ${short} is too large for a 64-bit float.`;
  }
  if (text.length < 16) return null;
  const fits = text.length <= 20 && BigInt(text) >= INT_MIN && BigInt(text) <= INT_MAX;
  return fits ? null : `the integer ${short} does not fit 64 bits.`;
}

/** The value of a number for sliders and sums; null for what is no number. An integer of 64 bits is rounded. */
export function numberOf(value: unknown): number | null {
  if (typeof value === "number") return value;
  return value instanceof JsonNumber ? Number(value.text) : null;
}

/** Whether Python reads the value as an int (and not as a float, nor as a bool). */
export function isInteger(value: unknown): boolean {
  return value instanceof JsonNumber ? !value.float : Number.isSafeInteger(value);
}

/**
 * What a reader typed, as a number of a document: `float` always has a point (`7` becomes 7.0), `int` has all its digits.
 * A comma is a point. null where it is no such number.
 */
export function jsonNumber(typed: string | number, kind: "int" | "float"): number | JsonNumber | null {
  const text = String(typed).trim().replace(",", ".").replace(/^\+/, "");
  if (kind === "int") {
    if (!/^-?\d+$/.test(text)) return integerOfFloat(text);
    const digits = text.length > 400 ? text : String(BigInt(text));
    return numberFault(digits) === null ? numberFromText(digits) : null;
  }
  if (!/^-?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i.test(text) || !Number.isFinite(Number(text))) return null;
  return numberFromText(pythonFloat(Number(text)));
}

/** `1e3` and `4.0` are integers to who types them. */
function integerOfFloat(text: string): number | null {
  const value = text === "" ? Number.NaN : Number(text);
  return Number.isSafeInteger(value) ? value + 0 : null;
}

/** A number as a person reads it in a field: `7.0` is 7, an integer keeps all its digits. */
export function shownNumber(value: number | JsonNumber): string {
  if (value instanceof JsonNumber && !value.float) return value.text;
  return String(Number(numberText(value)));
}
