/** Objects of a document: without a prototype, with their keys in the order of the file, never changed in place. */
import { JsonNumber, numberText } from "./numbers";
import type { Json, JsonObject } from "./types";

type Plain = Record<string, unknown>;

/** JavaScript puts keys such as "10" first whatever was written; the order of objects with such keys is kept here. */
const orders = new WeakMap<object, readonly string[]>();
/** Values that have the form above already: they are shared and not copied again. */
const clean = new WeakSet<object>();
const INDEX = /^(?:0|[1-9]\d*)$/;

/** Whether a value is an object with keys: no list, no number that is kept as text. */
export function isObject(value: unknown): value is JsonObject {
  return typeof value === "object" && value !== null && !Array.isArray(value) && !(value instanceof JsonNumber);
}

/** Whether a value is a list. */
export function isList(value: unknown): value is readonly Json[] {
  return Array.isArray(value);
}

/** The value under an own key; undefined where there is none, also for keys such as `constructor`. */
export function own<T>(object: { readonly [key: string]: T } | undefined | null, key: string): T | undefined {
  return object !== undefined && object !== null && Object.hasOwn(object, key) ? object[key] : undefined;
}

/** Whether there is an own key. */
export function has(object: object | undefined | null, key: string): boolean {
  return object !== undefined && object !== null && Object.hasOwn(object, key);
}

/** The keys in the order in which the document has them. */
export function keysOf(object: object | undefined | null): readonly string[] {
  if (object === undefined || object === null) return [];
  return orders.get(object) ?? Object.keys(object);
}

/** Keys and values in the order of the document. */
export function entriesOf<T>(object: { readonly [key: string]: T } | undefined | null): [string, T][] {
  const found: [string, T][] = [];
  if (object) for (const key of keysOf(object)) found.push([key, object[key] as T]);
  return found;
}

/** An object of these keys and values, in this order. */
export function objectOf<T>(entries: Iterable<readonly [string, T]>): { [key: string]: T } {
  const result = Object.create(null) as { [key: string]: T };
  const keys: string[] = [];
  let odd = false;
  for (const [key, value] of entries) {
    if (!(key in result)) keys.push(key);
    odd ||= INDEX.test(key);
    result[key] = value;
  }
  if (odd) orders.set(result, keys);
  return result;
}

/** A copy that may be changed by who made it until it is given away. */
export function copyOf(object: object): Plain {
  const result = Object.assign(Object.create(null) as Plain, object);
  const order = orders.get(object);
  if (order) orders.set(result, order);
  return result;
}

/** Sets a key of a fresh copy; a new one stands before `before`, or at the end. */
export function setKey(object: Plain, key: string, value: unknown, before: string | null = null): Plain {
  if (key in object || (before === null && !INDEX.test(key) && !orders.has(object))) {
    object[key] = value;
    return object;
  }
  const entries: [string, unknown][] = [];
  for (const name of keysOf(object)) {
    if (name === before) entries.push([key, value]);
    entries.push([name, object[name]]);
  }
  if (before === null || !(before in object)) entries.push([key, value]);
  return objectOf(entries);
}

/** Removes a key of a fresh copy. */
export function removeKey(object: Plain, key: string): void {
  const order = orders.get(object);
  if (order) orders.set(object, order.filter((name) => name !== key));
  delete object[key];
}

/** Says that a value and all in it came from the reader of documents: it need not be copied. */
export function markClean<T extends object>(value: T): T {
  clean.add(value);
  return value;
}

/** A value as documents hold it; keys with `undefined` are left out. Values of documents are shared, others are copied. */
export function plainOf(value: unknown): Json {
  if (value === null || typeof value === "string" || typeof value === "boolean" || value instanceof JsonNumber) return value;
  if (typeof value === "number") {
    if (!Number.isFinite(value)) throw new TypeError(`${value} is not JSON; numbers are finite.`);
    return value;
  }
  if (typeof value !== "object") throw new TypeError(`A ${typeof value} is not JSON.`);
  if (clean.has(value)) return value as Json;
  if (Array.isArray(value)) return markClean(value.map(plainOf));
  const entries: [string, Json][] = [];
  for (const key of keysOf(value)) {
    const item = (value as Plain)[key];
    if (item !== undefined) entries.push([key, plainOf(item)]);
  }
  return markClean(objectOf(entries));
}

/** Whether two values are the same to Weft: `1` and `1.0` are not, the order of keys does not count. */
export function sameJson(a: unknown, b: unknown): boolean {
  if (a === b) return true;
  const number = numberTextOf(a);
  if (number !== null) return number === numberTextOf(b);
  if (isList(a)) return isList(b) && a.length === b.length && a.every((item, index) => sameJson(item, b[index]));
  if (!isObject(a) || !isObject(b)) return false;
  const keys = keysOf(a);
  return keys.length === keysOf(b).length && keys.every((key) => has(b, key) && sameJson(a[key], b[key]));
}

function numberTextOf(value: unknown): string | null {
  return typeof value === "number" || value instanceof JsonNumber ? numberText(value) : null;
}
