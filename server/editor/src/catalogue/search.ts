/** Which node types a search finds, best first. */
import type { NodeType } from "./types";

/** A type that was found, with the letters of its name that were typed. */
export interface Hit {
  readonly type: NodeType;
  readonly matched: readonly number[];
  /** Whether it was found by its summary alone. */
  readonly bySummary: boolean;
}

export interface SearchOptions {
  /** Only types for which this holds. */
  readonly fits?: (type: NodeType) => boolean;
  /** When each was used last, or how often: more comes first among equals. */
  readonly used?: ReadonlyMap<string, number>;
}

interface Ranked {
  readonly hit: Hit;
  readonly rank: number;
  readonly spread: number;
}

/** Types by how well they match: the name's beginning, a word's, letters in order, then the summary. */
export function search(query: string, types: readonly NodeType[], options: SearchOptions = {}): Hit[] {
  const wanted = query.trim().toLowerCase().replace(/[\s-]+/g, "_");
  const words = query.trim().toLowerCase().split(/\s+/).filter((word) => word !== "");
  const found: Ranked[] = [];
  for (const type of types) {
    if (options.fits && !options.fits(type)) continue;
    const ranked = rankOf(type, wanted, words);
    if (ranked) found.push(ranked);
  }
  const used = (type: NodeType): number => options.used?.get(type.name) ?? 0;
  found.sort(
    (a, b) =>
      a.rank - b.rank ||
      (wanted === "" || a.rank < 2 ? 0 : a.spread - b.spread) ||
      used(b.hit.type) - used(a.hit.type) ||
      a.spread - b.spread ||
      a.hit.type.name.length - b.hit.type.name.length ||
      (a.hit.type.name < b.hit.type.name ? -1 : 1),
  );
  return found.map(({ hit }) => hit);
}

function rankOf(type: NodeType, wanted: string, words: readonly string[]): Ranked | null {
  const name = type.name.toLowerCase();
  const hit = (matched: number[], rank: number, spread: number): Ranked => ({ hit: { type, matched, bySummary: false }, rank, spread });
  if (wanted === "") return hit([], 0, 0);
  const run = (at: number): number[] => Array.from({ length: wanted.length }, (_, index) => at + index);
  if (name.startsWith(wanted)) return hit(run(0), 0, 0);
  const word = name.indexOf(`_${wanted}`);
  if (word >= 0) return hit(run(word + 1), 1, 0);
  const inside = name.indexOf(wanted);
  if (inside >= 0) return hit(run(inside), 2, 0);
  const letters = lettersInOrder(name, wanted.replaceAll("_", ""));
  if (letters) return hit(letters, 3, (letters.at(-1) ?? 0) - (letters[0] ?? 0));
  const summary = `${type.summary} ${type.category}`.toLowerCase();
  if (!words.every((one) => summary.includes(one))) return null;
  return { hit: { type, matched: [], bySummary: true }, rank: 4, spread: 0 };
}

/** Where the letters stand in the name, beginning at words where that is possible; null when they are not all there. */
function lettersInOrder(name: string, letters: string): number[] | null {
  const found: number[] = [];
  let at = 0;
  for (let index = 0; index < letters.length; index += 1) {
    const letter = letters[index] ?? "";
    const next = name[at] === letter ? at : name.indexOf(letter, at);
    if (next < 0) return null;
    const word = name.indexOf(`_${letter}`, at);
    const best = next !== at && word >= 0 && canFinish(name, letters, index + 1, word + 2) ? word + 1 : next;
    found.push(best);
    at = best + 1;
  }
  return found.length > 0 ? found : null;
}

function canFinish(name: string, letters: string, index: number, at: number): boolean {
  let from = at;
  for (const letter of letters.slice(index)) {
    const next = name.indexOf(letter, from);
    if (next < 0) return false;
    from = next + 1;
  }
  return true;
}
