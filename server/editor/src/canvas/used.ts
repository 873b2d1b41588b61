/** Which types were added lately, in this browser: they come first among equals. */

const KEY = "weft.used";
const MOST = 40;

function read(): string[] {
  try {
    const list: unknown = JSON.parse(localStorage.getItem(KEY) ?? "[]");
    return Array.isArray(list) ? list.filter((name): name is string => typeof name === "string").slice(0, MOST) : [];
  } catch {
    return [];
  }
}

/** The types used lately, the newest with the highest number. */
export function usedLately(): ReadonlyMap<string, number> {
  const names = read();
  return new Map(names.map((name, at) => [name, names.length - at]));
}

/** Remembers that a type was added. */
export function markUsed(name: string): void {
  try {
    localStorage.setItem(KEY, JSON.stringify([name, ...read().filter((one) => one !== name)].slice(0, MOST)));
  } catch {
    // Private windows may refuse storage: then nothing is remembered.
  }
}
