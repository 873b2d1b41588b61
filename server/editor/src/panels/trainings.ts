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
  /** Steps whose state was saved. */
  readonly checkpoints: readonly number[];
  /** Steps a second, and seconds until the last one, where they were said. */
  readonly rate: number | null;
  readonly left: number | null;
}

/** Numbers that say where a report stands, and are no curves. */
const PLACE = new Set(["step", "steps", "of", "total", "epoch", "seconds", "first", "steps_per_second", "seconds_left"]);

/** The training that was told of last; null where there is none. */
export function trainingOf(reports: readonly JobEvent[]): Training | null {
  const last = reports.at(-1);
  if (!last || last.node === null) return null;
  const curves = new Map<string, Map<number, number>>();
  const checkpoints = new Set<number>();
  let [step, of]: [number, number | null] = [-1, null];
  let [rate, left]: [number | null, number | null] = [null, null];
  // A report that comes again, after the connection was lost, is no second point.
  const add = (name: string, at: number, value: number) => {
    const points = curves.get(name) ?? new Map<number, number>();
    curves.set(name, points.set(at, value));
  };
  for (const event of reports) {
    if (event.job !== last.job || event.node !== last.node) continue;
    const numbers = numbersOf(event);
    const at = numbers.get("step") ?? step + 1;
    step = Math.max(step, at);
    of = numbers.get("of") ?? numbers.get("total") ?? numbers.get("steps") ?? of;
    rate = numbers.get("steps_per_second") ?? rate;
    left = numbers.get("seconds_left") ?? left;
    if (event.kind === "train.checkpoint") checkpoints.add(at);
    for (const [name, value] of numbers) if (!PLACE.has(name)) add(name, at, value);
    lossesOf(event, numbers.get("first")).forEach((loss, place) => add("loss", (numbers.get("first") ?? 0) + place, loss));
  }
  const lines = [...curves].map(([name, points]) => [name, [...points].map(([place, value]) => ({ step: place, value })).toSorted((a, b) => a.step - b.step)] as const);
  return { job: last.job, node: last.node, curves: new Map(lines), step, of, checkpoints: [...checkpoints].toSorted((a, b) => a - b), rate, left };
}

function numbersOf({ data }: JobEvent): Map<string, number> {
  const numbers = new Map<string, number>();
  if (typeof data !== "object" || data === null || Array.isArray(data)) return numbers;
  for (const [key, value] of Object.entries(data)) if (typeof value === "number" && Number.isFinite(value)) numbers.set(key, value);
  return numbers;
}

/** The loss of each step of a block, where a report brings a block. */
function lossesOf({ data }: JobEvent, first: number | undefined): number[] {
  if (first === undefined || typeof data !== "object" || data === null || Array.isArray(data)) return [];
  const listed = (data as Record<string, unknown>)["losses"];
  return Array.isArray(listed) ? listed.filter((loss): loss is number => typeof loss === "number" && Number.isFinite(loss)) : [];
}
