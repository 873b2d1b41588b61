/** Which two pictures the inspector compares: of the chosen node, the pin or the run before against the newest. */
import { api } from "../service/api";
import type { Pinned } from "../state/pinned";
import type { RunInfo } from "../state/types";

export interface ResultPicture {
  readonly source: string;
  readonly run: RunInfo | null;
  readonly number: number;
  /** "42 · step 14", "41", "41 · pinned". */
  readonly chip: string;
  readonly live: boolean;
}

/** A run's picture of a node; without a node, what it saved or how far it is. */
export function pictureOfRun(run: RunInfo, node: string | null): ResultPicture | null {
  const chip = String(run.number);
  const of = (source: string, more = "", live = false): ResultPicture => ({ source, run, number: run.number, chip: chip + more, live });
  if (node === null && run.job.state === "running") {
    for (const [, state] of [...run.nodes].toReversed()) if (state.preview) return of(state.preview, state.total ? ` · step ${state.step ?? 0}` : "", true);
  }
  const output = run.job.outputs.find((one) => one.kind === "image" && one.file !== undefined && (node === null || one.node === node));
  if (output?.file) return of(api.fileUrl(output.file));
  if (node !== null) {
    const state = run.nodes.get(node);
    if (!state?.preview) return null;
    const running = state.state === "running";
    return of(state.preview, state.total && state.step !== state.total ? ` · step ${state.step ?? 0}` : "", running);
  }
  const last = [...run.nodes.values()].findLast((state) => state.preview !== undefined)?.preview;
  return last ? of(last) : null;
}

/** The newest picture, and what it is compared with. Runs come with the newest first. */
export function resultPair(runs: readonly RunInfo[], node: string | null, pinned: Pinned | undefined): { readonly now: ResultPicture | null; readonly before: ResultPicture | null } {
  const found: ResultPicture[] = [];
  for (const run of runs) {
    const picture = pictureOfRun(run, node);
    if (picture && !found.some(({ source }) => source === picture.source)) found.push(picture);
    if (found.length === 2) break;
  }
  const [now = null, before = null] = found;
  if (!pinned || pinned.source === now?.source) return { now, before };
  const run = runs.find(({ job }) => job.id === pinned.job) ?? null;
  return { now, before: { source: pinned.source, run, number: pinned.number, chip: `${pinned.number} · pinned`, live: false } };
}
