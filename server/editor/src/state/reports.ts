/** What nodes report of their own: a training sends its losses so. */
import { create } from "zustand";
import type { JobEvent } from "../service/types";

export interface Point {
  readonly step: number;
  readonly value: number;
}

/** What a node of a job reported: a curve for each number in its data. */
export interface Training {
  readonly job: string;
  readonly node: string;
  readonly curves: ReadonlyMap<string, readonly Point[]>;
  /** The last step that was told, and of how many, where that was said. */
  readonly step: number;
  readonly of: number | null;
}

/** By `job node`, the newest last. */
export const useReports = create<{ readonly trainings: ReadonlyMap<string, Training> }>(() => ({ trainings: new Map() }));

const MOST_TRAININGS = 20;
const MOST_POINTS = 20_000;
/** Numbers that say where a report stands, and are no curves. */
const PLACE = new Set(["step", "steps", "of", "total", "epoch", "seconds"]);

/** A training after one more report; null where the event is none. */
export function reported(before: Training | undefined, event: JobEvent): Training | null {
  if (event.event !== "node_report" || event.node === null || !event.kind?.startsWith("train")) return null;
  const { data } = event;
  if (typeof data !== "object" || data === null || Array.isArray(data)) return null;
  const numbers = new Map<string, number>();
  for (const key of Object.keys(data)) {
    const value = (data as Record<string, unknown>)[key];
    if (typeof value === "number" && Number.isFinite(value)) numbers.set(key, value);
  }
  const step = numbers.get("step") ?? (before?.step ?? -1) + 1;
  const curves = new Map(before?.curves);
  for (const [name, value] of numbers) {
    if (PLACE.has(name)) continue;
    // A report that comes again, after the connection was lost, is no second point.
    const points = (curves.get(name) ?? []).filter((point) => point.step < step);
    curves.set(name, [...points, { step, value }].slice(-MOST_POINTS));
  }
  return { job: event.job, node: event.node, curves, step, of: numbers.get("of") ?? numbers.get("total") ?? numbers.get("steps") ?? before?.of ?? null };
}

/** Takes an event; those that are no reports of a training change nothing. */
export function takeReport(event: JobEvent): void {
  const { trainings } = useReports.getState();
  const key = `${event.job} ${event.node ?? ""}`;
  const next = reported(trainings.get(key), event);
  if (!next) return;
  const all = new Map(trainings);
  all.delete(key);
  all.set(key, next);
  for (const old of all.keys()) {
    if (all.size <= MOST_TRAININGS) break;
    all.delete(old);
  }
  useReports.setState({ trainings: all });
}
