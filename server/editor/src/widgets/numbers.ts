/**
 * Numbers as a reader types, steps and drags them. They are text and exact decimals all the way: an integer of 64 bits has no
 * place in a double, and 0.1 added ten times has to be 1.
 */

export interface NumberRules {
  readonly whole: boolean;
  readonly optional: boolean;
  readonly range: readonly [number | null, number | null] | null;
  /** What the gauge spans, when it has one. */
  readonly gauge: readonly [number, number] | null;
}

/** `digits` x 10^-`scale`; scale is 0 or more. */
interface Decimal {
  readonly digits: bigint;
  readonly scale: number;
}

export type Typed =
  | { readonly text: string }
  | { readonly none: true }
  | { readonly problem: string; readonly nearest?: string };

const LOWEST = -(2n ** 63n);
const HIGHEST = 2n ** 63n - 1n;
/** Beyond these an exponent is a slip of the hand, and 10n ** it would take all memory. */
const LARGEST_EXPONENT = 308;

function decimalOf(text: string): Decimal | null {
  const found = /^([+-]?)(\d*)(?:\.(\d*))?(?:e([+-]?\d{1,4}))?$/i.exec(text.trim());
  if (!found) return null;
  const [, sign = "", before = "", after = "", exponent = "0"] = found;
  if (before === "" && after === "") return null;
  if (before.length + after.length > 400) return null;
  const power = Number(exponent);
  if (Math.abs(power) > LARGEST_EXPONENT) return null;
  let digits = BigInt(before + after || "0");
  if (sign === "-") digits = -digits;
  let scale = after.length - power;
  if (scale < 0) {
    digits *= 10n ** BigInt(-scale);
    scale = 0;
  }
  return trimmed({ digits, scale });
}

function trimmed({ digits, scale }: Decimal): Decimal {
  let d = digits;
  let s = scale;
  while (s > 0 && d % 10n === 0n) {
    d /= 10n;
    s -= 1;
  }
  return { digits: d, scale: s };
}

function same(a: Decimal, b: Decimal): [bigint, bigint, number] {
  const scale = Math.max(a.scale, b.scale);
  return [a.digits * 10n ** BigInt(scale - a.scale), b.digits * 10n ** BigInt(scale - b.scale), scale];
}

function plus(a: Decimal, b: Decimal): Decimal {
  const [x, y, scale] = same(a, b);
  return trimmed({ digits: x + y, scale });
}

function times(a: Decimal, n: bigint): Decimal {
  return trimmed({ digits: a.digits * n, scale: a.scale });
}

function less(a: Decimal, b: Decimal): boolean {
  const [x, y] = same(a, b);
  return x < y;
}

function rounded(a: Decimal): Decimal {
  if (a.scale === 0) return a;
  const unit = 10n ** BigInt(a.scale);
  const half = unit / 2n;
  const digits = a.digits < 0n ? -((-a.digits + half) / unit) : (a.digits + half) / unit;
  return { digits, scale: 0 };
}

function textOf(a: Decimal, whole: boolean): string {
  const negative = a.digits < 0n;
  const digits = (negative ? -a.digits : a.digits).toString().padStart(a.scale + 1, "0");
  const before = digits.slice(0, digits.length - a.scale);
  const after = digits.slice(digits.length - a.scale);
  const body = after !== "" ? `${before}.${after}` : whole ? before : `${before}.0`;
  return negative ? `-${body}` : body;
}

/** A bound of a range. Those near 2^63 come rounded out of JSON: there the bound is that of 64 bits. */
function bound(value: number | null | undefined): Decimal | null {
  if (value === null || value === undefined || !Number.isFinite(value)) return null;
  if (value >= 9.2e18) return { digits: HIGHEST, scale: 0 };
  if (value <= -9.2e18) return { digits: LOWEST, scale: 0 };
  return decimalOf(String(value));
}

function bounds(rules: NumberRules): [Decimal | null, Decimal | null] {
  const low = bound(rules.range?.[0]);
  const high = bound(rules.range?.[1]);
  if (!rules.whole) return [low, high];
  return [low ?? { digits: LOWEST, scale: 0 }, high ?? { digits: HIGHEST, scale: 0 }];
}

function inside(value: Decimal, rules: NumberRules): Decimal {
  const [low, high] = bounds(rules);
  if (low && less(value, low)) return low;
  if (high && less(high, value)) return high;
  return value;
}

/** What the reader typed: a number's text as JSON writes it, none, or what is wrong with it and the nearest that is not. */
export function readNumber(typed: string, rules: NumberRules): Typed {
  const text = typed.trim().replace("−", "-").replace(/[\s_'’]/g, "").replace(",", ".");
  if (text === "" || text.toLowerCase() === "none") {
    return rules.optional ? { none: true } : { problem: "A number is needed." };
  }
  const value = decimalOf(text);
  if (!value) return { problem: "This is not a number." };
  if (rules.whole && value.scale > 0) {
    return { problem: "It has to be a whole number.", nearest: textOf(inside(rounded(value), rules), true) };
  }
  const kept = inside(value, rules);
  if (kept.digits !== value.digits || kept.scale !== value.scale) {
    return { problem: outside(rules), nearest: textOf(kept, rules.whole) };
  }
  return { text: textOf(value, rules.whole) };
}

/** "It has to be from 0 to 10." */
export function outside(rules: NumberRules): string {
  const words = rangeWords(rules);
  return words === "" ? "It does not fit into 64 bits." : `It has to be ${words}.`;
}

/** "0 to 10", "at least 0", or nothing. */
export function rangeWords(rules: Pick<NumberRules, "range">): string {
  const low = bound(rules.range?.[0]);
  const high = bound(rules.range?.[1]);
  const end = (value: Decimal) => (value.digits === HIGHEST && value.scale === 0 ? "2⁶³ − 1" : textOf(value, true));
  if (low && high) return `${end(low)} to ${end(high)}`;
  if (low) return `at least ${end(low)}`;
  if (high) return `at most ${end(high)}`;
  return "";
}

function span(rules: NumberRules): number | null {
  const gauge = rules.gauge;
  if (gauge) return gauge[1] - gauge[0];
  const [low, high] = rules.range ?? [null, null];
  return low !== null && high !== null && high - low < 1e6 ? high - low : null;
}

/** One step of the arrow keys as a power of ten: -1 is 0.1. */
export function stepPower(rules: NumberRules): number {
  if (rules.whole) return 0;
  const width = span(rules);
  if (width === null || width <= 0) return -1;
  return Math.max(-6, Math.min(1, Math.floor(Math.log10(width / 40) + 1e-9)));
}

/** How a number that is not in focus is shown: floats with as many places as their steps have. */
export function showNumber(text: string, rules: NumberRules): string {
  const value = decimalOf(text);
  if (!value) return text;
  if (rules.whole) return textOf(value, true);
  const places = Math.max(1, -stepPower(rules));
  if (Math.abs(Number(text)) >= 1e15 || (value.scale > 8 && Math.abs(Number(text)) < 1e-4)) return String(Number(text));
  const shown = textOf(value, false);
  const after = shown.length - shown.indexOf(".") - 1;
  return after >= places ? shown : shown + "0".repeat(places - after);
}

function moved(text: string, rules: NumberRules, steps: number, power: number): string {
  const start = decimalOf(text) ?? { digits: 0n, scale: 0 };
  const unit: Decimal = power >= 0 ? { digits: 10n ** BigInt(power), scale: 0 } : { digits: 1n, scale: -power };
  const [low, high] = bounds(rules);
  const target = plus(start, times(unit, BigInt(steps)));
  // A value beyond the range may come back step by step, but not go further out.
  if (high && less(high, target)) return textOf(less(high, start) && steps > 0 ? start : high, rules.whole);
  if (low && less(target, low)) return textOf(less(start, low) && steps < 0 ? start : low, rules.whole);
  return textOf(target, rules.whole);
}

/** The number after one press of Up (1) or Down (-1); `factor` 10 with Shift, 0.1 with Alt. */
export function stepNumber(text: string, rules: NumberRules, direction: 1 | -1, factor: 0.1 | 1 | 10): string {
  const power = stepPower(rules) + Math.log10(factor);
  return moved(text, rules, direction, Math.round(rules.whole ? Math.max(0, power) : power));
}

/** Pixels that one step of a drag takes. */
export const DRAG_PIXELS = 2;

/** The number after a drag by so many pixels from where it had been `text`. */
export function dragNumber(text: string, rules: NumberRules, pixels: number, factor: 0.1 | 1 | 10): string {
  const width = span(rules);
  const wide = width !== null && width > 400 ? Math.floor(Math.log10(width / 200)) : 0;
  const power = Math.round((rules.whole ? wide : stepPower(rules)) + Math.log10(factor));
  return moved(text, rules, Math.trunc(pixels / DRAG_PIXELS), rules.whole ? Math.max(0, power) : power);
}

/** Where a number stands on the gauge, 0 to 1; beyond its ends it stays there. */
export function gaugeAt(text: string, gauge: readonly [number, number] | null): number {
  if (!gauge || gauge[1] <= gauge[0]) return 0;
  const at = (Number(text) - gauge[0]) / (gauge[1] - gauge[0]);
  return Number.isFinite(at) ? Math.min(1, Math.max(0, at)) : 0;
}

/** The number at a place of a slider, on its steps. */
export function sliderNumber(at: number, rules: NumberRules): string {
  const [low, high] = rules.gauge ?? [0, 1];
  const places = rules.whole ? 0 : Math.max(0, -stepPower(rules));
  const value = decimalOf((low + (high - low) * Math.min(1, Math.max(0, at))).toFixed(places)) ?? { digits: 0n, scale: 0 };
  return textOf(inside(value, rules), rules.whole);
}

/** The two multiples around a number: "a multiple of 8: 96 or 104". */
export function multiplesAround(text: string, of: number): [string, string] | null {
  const value = decimalOf(text);
  if (!value || of < 1) return null;
  const unit = BigInt(Math.trunc(of));
  const whole = rounded(value).digits;
  const below = (whole / unit) * unit;
  return [below.toString(), (below + unit).toString()];
}
