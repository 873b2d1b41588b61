/** Sweeps: one workflow with several values of one or two inputs, laid out as a grid with its axes. */
import { create } from "zustand";
import { apply } from "../document/apply";
import { setInputs } from "../document/edits";
import { type Document, isRefusal, type Json } from "../document/types";
import { cancelJob, run } from "./actions";
import { newId } from "./ids";
import { say } from "./notices";
import { ended } from "./reduce";
import { useRuns } from "./runs";
import { tabOf } from "./workspace";

export interface Axis {
  readonly node: string;
  readonly input: string;
  readonly values: readonly Json[];
}

export interface Cell {
  /** Index of the value of each axis. */
  readonly at: readonly number[];
  /** The job; null while it is not queued, or where it was refused. */
  readonly job: string | null;
}

export interface Sweep {
  readonly id: string;
  readonly tab: string;
  readonly axes: readonly Axis[];
  readonly cells: readonly Cell[];
  readonly started: number;
}

export const useSweeps = create<{ readonly list: readonly Sweep[] }>(() => ({ list: [] }));

/** So many jobs at most. */
export const MOST_CELLS = 400;

/** Queues a job for each combination of the axes' values; gives the sweep, or why there is none. */
export async function startSweep(axes: readonly Axis[], id?: string, targets?: readonly string[]): Promise<Sweep | { refused: string }> {
  const tab = tabOf(id);
  if (!tab) return { refused: "No workflow is open." };
  if (axes.length < 1 || axes.length > 2) return { refused: "A sweep has one axis or two." };
  const places = combinations(axes.map((axis) => axis.values.length));
  if (places.length === 0) return { refused: "An axis needs a value." };
  if (places.length > MOST_CELLS) return { refused: `A sweep has at most ${MOST_CELLS} cells; this one has ${places.length}.` };
  const documents: Document[] = [];
  for (const at of places) {
    const attempt = setInputs(tab.history.document, null, axes.map((axis, index) => [axis.node, axis.input, axis.values[at[index] ?? 0] ?? null]));
    if (isRefusal(attempt)) return attempt;
    documents.push(apply(tab.history.document, attempt).document);
  }
  const sweep: Sweep = { id: newId(), tab: tab.id, axes, cells: places.map((at) => ({ at, job: null })), started: Date.now() };
  useSweeps.setState(({ list }) => ({ list: [sweep, ...list].slice(0, 20) }));
  say(`Sweep of ${places.length} started.`);
  for (const [index, document] of documents.entries()) {
    if (!useSweeps.getState().list.some((item) => item.id === sweep.id)) break; // it was stopped
    const job = await run(tab.id, { document, tags: [`sweep-${sweep.id}`], ...(targets && { targets }) });
    setCell(sweep.id, index, job?.id ?? null);
    if (job === null) break;
  }
  return useSweeps.getState().list.find((item) => item.id === sweep.id) ?? sweep;
}

/** Cancels what a sweep still has to run. */
export async function stopSweep(id: string): Promise<void> {
  const sweep = useSweeps.getState().list.find((item) => item.id === id);
  useSweeps.setState(({ list }) => ({ list: list.filter((item) => item.id !== id) }));
  const { jobs } = useRuns.getState();
  const active = (sweep?.cells ?? []).flatMap(({ job }) => {
    const info = job === null ? undefined : jobs.get(job);
    return info && !ended(info.job) ? [info.job.id] : [];
  });
  await Promise.all(active.map(cancelJob));
}

function setCell(id: string, index: number, job: string | null): void {
  useSweeps.setState(({ list }) => ({
    list: list.map((item) => {
      const cell = item.cells[index];
      return item.id === id && cell ? { ...item, cells: item.cells.with(index, { ...cell, job }) } : item;
    }),
  }));
}

function combinations(lengths: readonly number[]): number[][] {
  let found: number[][] = [[]];
  for (const length of lengths) {
    found = found.flatMap((at) => Array.from({ length }, (_, index) => [...at, index]));
    if (found.length > 100_000) break;
  }
  return found;
}
