/** Runs are called by a number that counts up in this browser: "run 42". */
const KEY = "weft.runs";
const MOST = 300;

let known: Map<string, number> | null = null;

function read(): Map<string, number> {
  if (known) return known;
  known = new Map();
  try {
    const said: unknown = JSON.parse(localStorage.getItem(KEY) ?? "[]");
    if (Array.isArray(said)) {
      for (const pair of said) {
        if (Array.isArray(pair) && typeof pair[0] === "string" && Number.isSafeInteger(pair[1])) known.set(pair[0], pair[1]);
      }
    }
  } catch {
    // A browser that keeps nothing counts from one.
  }
  return known;
}

/** The number of a job's run; a job that is new gets the next one. */
export function numberOf(job: string): number {
  const numbers = read();
  const found = numbers.get(job);
  if (found !== undefined) return found;
  const next = Math.max(0, ...numbers.values()) + 1;
  numbers.set(job, next);
  for (const id of numbers.keys()) {
    if (numbers.size <= MOST) break;
    numbers.delete(id);
  }
  try {
    localStorage.setItem(KEY, JSON.stringify([...numbers]));
  } catch {
    // As above.
  }
  return next;
}

/** For tests. */
export function forgetNumbers(): void {
  known = null;
}
