/** Curves of what nodes reported of a training. Pure: the same reports give the same curves. */
import type { JobEvent } from "../service/types";

export interface Point {
  readonly step: number;
  readonly value: number;
}

/** A node of a job that trains: a curve for each number in its reports. */
export interface Training {
  readonly job: string;
  readonly node: string;
  readonly curves: ReadonlyMap<string, readonly Point[]>;
  /** The last step that was told, and of how many, where that was said. */
  readonly step: number;
  readonly of: number | null;
}

/** Numbers that say where a report stands, and are no curves. */
const PLACE = new Set(["step", "steps", "of", "total", "epoch", "seconds"]);

/** The training that was told of last; null where there is none. */
export function trainingOf(reports: readonly JobEvent[]): Training | null {
  const last = reports.at(-1);
  if (!last || last.node === null) return null;
  const curves = new Map<string, Map<number, number>>();
  let [step, of]: [number, number | null] = [-1, null];
  for (const event of reports) {
    if (event.job !== last.job || event.node !== last.node) continue;
    const numbers = numbersOf(event);
    step = numbers.get("step") ?? step + 1;
    of = numbers.get("of") ?? numbers.get("total") ?? numbers.get("steps") ?? of;
    for (const [name, value] of numbers) {
      if (PLACE.has(name)) continue;
      // A report that comes again, after the connection was lost, is no second point.
      const points = curves.get(name) ?? new Map<number, number>();
      curves.set(name, points.set(step, value));
    }
  }
  const lines = [...curves].map(([name, points]) => [name, [...points].map(([at, value]) => ({ step: at, value })).toSorted((a, b) => a.step - b.step)] as const);
  return { job: last.job, node: last.node, curves: new Map(lines), step, of };
}

function numbersOf({ data }: JobEvent): Map<string, number> {
  const numbers = new Map<string, number>();
  if (typeof data !== "object" || data === null || Array.isArray(data)) return numbers;
  for (const [key, value] of Object.entries(data)) if (typeof value === "number" && Number.isFinite(value)) numbers.set(key, value);
  return numbers;
}
