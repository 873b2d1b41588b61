/** Where the parts of a timeline stand, in seconds and rows. Pure: the same run gives the same picture. */
import { type Lane, LANES, type Span, type Timeline } from "../state/timeline";
import type { RunInfo } from "../state/types";

export interface LaneView {
  readonly lane: Lane;
  /** Spans that do not meet, a list for each row. */
  readonly rows: readonly (readonly Span[])[];
}

export interface TimelineView {
  readonly lanes: readonly LaneView[];
  readonly worker: { readonly from: number; readonly to: number } | null;
  readonly seconds: number;
  /** How long the critical path is. */
  readonly critical: number;
}

/** The picture of a timeline: the worker's start stands before the first node, and nothing before 0. */
export function timelineView(timeline: Timeline): TimelineView {
  const start = timeline.worker ? timeline.worker.to - timeline.worker.from : 0;
  const ran = timeline.spans.filter(({ lane }) => lane !== "cache");
  const first = Math.min(...timeline.spans.map(({ from }) => from), Number.POSITIVE_INFINITY);
  // The run's time may begin with the worker's start or after it, as the server came to tell of it.
  const shift = start > 0 && first < start * 0.8 ? start - Math.min(first, start) : 0;
  const spans = shift === 0 ? timeline.spans : timeline.spans.map((span) => ({ ...span, from: span.from + shift, to: span.to + shift }));
  const worker = start > 0 ? { from: Math.max(0, Math.min(first, Number.MAX_VALUE) + shift - start), to: Number.isFinite(first) ? first + shift : start } : null;
  const ends = ran.filter(({ critical }) => critical).map(({ to }) => to + shift);
  return {
    lanes: LANES.map((lane) => ({ lane, rows: rowsOf(spans.filter((span) => span.lane === lane)) })),
    worker,
    seconds: timeline.seconds + shift,
    critical: Math.max(0, ...ends),
  };
}

/** Spans in as few rows as it takes that none covers another. */
export function rowsOf(spans: readonly Span[]): Span[][] {
  const rows: Span[][] = [];
  for (const span of spans.toSorted((a, b) => a.from - b.from || b.to - a.to)) {
    const row = rows.find((one) => (one.at(-1)?.to ?? 0) <= span.from + 1e-3);
    if (row) row.push(span);
    else rows.push([span]);
  }
  return rows;
}

/** Steps of a ruler: 1, 2 or 5 times a power of ten, at least `room` px apart. */
export function ruler(seconds: number, width: number, room = 72): number[] {
  if (!(seconds > 0) || !(width > 0)) return [0];
  const least = (seconds / width) * room;
  const power = 10 ** Math.floor(Math.log10(least));
  const step = [1, 2, 5, 10].map((times) => times * power).find((one) => one >= least) ?? 10 * power;
  return Array.from({ length: Math.floor(seconds / step + 1e-9) + 1 }, (_, at) => at * step);
}

/** "0 s", "0.5 s", "2 s", "20 ms". */
export function tickWords(seconds: number, step: number): string {
  if (seconds === 0) return "0 s";
  if (step < 0.1) return `${Math.round(seconds * 1e6) / 1000} ms`;
  return `${Number(seconds.toFixed(step < 1 ? 1 : 0))} s`;
}

/** "4 from disk, 8 not needed". */
export function cacheWords(run: RunInfo): string {
  const counts = { memory: 0, disk: 0, unneeded: 0 };
  for (const node of run.nodes.values()) if (node.state === "cached" && node.inner === undefined) counts[node.tier ?? "memory"] += 1;
  return [
    counts.memory > 0 ? `${counts.memory} from memory` : "",
    counts.disk > 0 ? `${counts.disk} from disk` : "",
    counts.unneeded > 0 ? `${counts.unneeded} not needed` : "",
  ].filter(Boolean).join(", ");
}
