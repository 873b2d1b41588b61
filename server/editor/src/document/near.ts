/** The name most like another, by the measure of Python's `difflib`, so that suggestions are those of the server. */

/** The option most like `name`, ignoring case, or null when none is close enough to be worth suggesting. */
export function near(name: string, options: Iterable<string>): string | null {
  const byLower = new Map<string, string>();
  for (const option of options) byLower.set(option.toLowerCase(), option);
  const word = Array.from(name.toLowerCase()).slice(0, 200);
  const places = placesOf(word);
  let best: { lower: string; ratio: number } | null = null;
  for (const lower of byLower.keys()) {
    const letters = Array.from(lower);
    if (upperBound(letters, word) < 0.6) continue;
    const ratio = similarity(letters, word, places);
    // Among equals difflib gives the text that sorts last.
    if (ratio >= 0.6 && (best === null || ratio > best.ratio || (ratio === best.ratio && lower > best.lower))) {
      best = { lower, ratio };
    }
  }
  return best ? (byLower.get(best.lower) ?? null) : null;
}

function placesOf(word: readonly string[]): Map<string, number[]> {
  const places = new Map<string, number[]>();
  for (const [index, letter] of word.entries()) {
    const known = places.get(letter);
    if (known) known.push(index);
    else places.set(letter, [index]);
  }
  if (word.length >= 200) {
    const most = Math.floor(word.length / 100) + 1;
    for (const [letter, found] of places) if (found.length > most) places.delete(letter);
  }
  return places;
}

function upperBound(a: readonly string[], b: readonly string[]): number {
  return a.length + b.length === 0 ? 1 : (2 * Math.min(a.length, b.length)) / (a.length + b.length);
}

function similarity(a: readonly string[], b: readonly string[], places: Map<string, number[]>): number {
  if (a.length + b.length === 0) return 1;
  let matches = 0;
  const parts: [number, number, number, number][] = [[0, a.length, 0, b.length]];
  for (let part = parts.pop(); part; part = parts.pop()) {
    const [fromA, toA, fromB, toB] = part;
    const [atA, atB, size] = longest(a, places, b, part);
    if (size === 0) continue;
    matches += size;
    parts.push([fromA, atA, fromB, atB], [atA + size, toA, atB + size, toB]);
  }
  return (2 * matches) / (a.length + b.length);
}

/** The first longest run that both have in their parts. */
function longest(
  a: readonly string[],
  places: Map<string, number[]>,
  b: readonly string[],
  [fromA, toA, fromB, toB]: readonly [number, number, number, number],
): [number, number, number] {
  let bestA = fromA;
  let bestB = fromB;
  let size = 0;
  let lengths = new Map<number, number>();
  for (let at = fromA; at < toA; at += 1) {
    const next = new Map<number, number>();
    for (const place of places.get(a[at] ?? "") ?? []) {
      if (place < fromB) continue;
      if (place >= toB) break;
      const length = (lengths.get(place - 1) ?? 0) + 1;
      next.set(place, length);
      if (length > size) {
        bestA = at - length + 1;
        bestB = place - length + 1;
        size = length;
      }
    }
    lengths = next;
  }
  while (bestA > fromA && bestB > fromB && a[bestA - 1] === b[bestB - 1]) {
    bestA -= 1;
    bestB -= 1;
    size += 1;
  }
  while (bestA + size < toA && bestB + size < toB && a[bestA + size] === b[bestB + size]) size += 1;
  return [bestA, bestB, size];
}
