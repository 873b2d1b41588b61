/** A run's row in words: why it is as it is. */
import type { Job } from "../service/types";
import type { RunInfo } from "../state/types";
import { about, counted, duration } from "../state/words";
import { PRIORITIES } from "../state/actions";

export type Priority = keyof typeof PRIORITIES;

/** The name of a priority; what others set falls to the nearest. */
export function priorityOf(priority: number): Priority {
  return priority > 0 ? "high" : priority < 0 ? "low" : "normal";
}

export interface RunWords {
  /** The first words, coloured with `tone`. */
  readonly head: string;
  readonly tone: "work" | "failed" | "plain";
  /** What follows after a dot. */
  readonly more: string;
}

/** The words of a row. `now` is the server's time in seconds. */
export function runWords(run: RunInfo, now: number): RunWords {
  const { job } = run;
  switch (job.state) {
    case "running":
      return { head: workWords(run), tone: "work", more: timeWords(run, now) };
    case "queued":
      return queuedWords(run);
    case "failed":
      return { head: failureWords(job), tone: "failed", more: "" };
    case "cancelled":
      return cancelledWords(run);
    case "done":
      return doneWords(job);
  }
}

/** "step 8 of 25", "loading weights", "3 of 16 nodes", "worker starts". */
function workWords(run: RunInfo): string {
  for (const [id, node] of run.nodes) {
    if (node.state !== "running" || node.inner !== undefined) continue;
    if (node.items) return `${id}: item ${Math.min(node.items.done + 1, node.items.of)} of ${node.items.of}`;
    if (node.total) return `${id}: step ${node.step ?? 0} of ${node.total}`;
    return node.message ? `${id}: ${node.message}` : `${id} runs`;
  }
  const { done, cached, of } = run.job.progress;
  return of > 0 ? `${done + cached} of ${counted(of, "node")}` : "a worker starts";
}

function timeWords(run: RunInfo, now: number): string {
  if (run.job.started === null) return "";
  const seconds = Math.max(0, now - run.job.started);
  return run.expectedSeconds ? `${duration(seconds)} of ${about(Math.max(run.expectedSeconds, seconds))}` : duration(seconds);
}

function queuedWords(run: RunInfo): RunWords {
  const { job } = run;
  const more = run.expectedSeconds ? about(run.expectedSeconds) : "";
  if (job.attempts > 0) return { head: `its worker died; it waits for try ${job.attempts + 1}`, tone: "plain", more };
  if (job.priority < 0) return { head: "when nothing else waits", tone: "plain", more };
  if (job.position === 0) return { head: "next", tone: "plain", more };
  return { head: job.position === null ? "waits" : `${job.position} before it`, tone: "plain", more };
}

/** What went wrong, in a sentence with its node. */
export function failureWords(job: Job): string {
  const { error } = job;
  if (!error) return "failed; the server says no more";
  if (error.code === "worker_died") return `its worker died ${error.node ? `on ${error.node}` : "before a node ran"}, ${counted(Math.max(1, job.attempts), "time")}`;
  if (error.code === "no_space" || /no space left|disk( is)? full/i.test(error.message)) return "the disk is full";
  return error.node && !error.message.startsWith(`${error.node}:`) ? `${error.node}: ${error.message}` : error.message;
}

function cancelledWords(run: RunInfo): RunWords {
  const at = [...run.nodes].find(([, node]) => node.state === "waits" && node.step !== undefined && node.ended !== undefined);
  if (at) return { head: `cancelled at step ${at[1].step} of ${at[0]}`, tone: "plain", more: "kept" };
  const { done, cached } = run.job.progress;
  if (run.job.started === null) return { head: "cancelled before it began", tone: "plain", more: "" };
  return { head: "cancelled", tone: "plain", more: done + cached > 0 ? `${done + cached} nodes kept` : "" };
}

function doneWords(job: Job): RunWords {
  const ran = job.ran ?? job.progress.done;
  const head = job.seconds === null ? "done" : duration(job.seconds);
  if (ran === 0) return { head, tone: "plain", more: "nothing had to run" };
  return { head, tone: "plain", more: `${ran} ran, ${job.cached} cached` };
}

/** What the button at the right does with an ended run. */
export function nextAct(job: Job): "open" | "retry" | "go on" {
  return job.state === "failed" ? "retry" : job.state === "cancelled" && job.started !== null ? "go on" : job.state === "cancelled" ? "retry" : "open";
}

export interface Runs {
  readonly running: readonly RunInfo[];
  readonly queued: readonly RunInfo[];
  readonly done: readonly RunInfo[];
}

/** The rows of the panel: what runs, what waits in its order, what has ended with the newest first. */
export function sortedRuns(jobs: Iterable<RunInfo>): Runs {
  const [running, queued, done]: [RunInfo[], RunInfo[], RunInfo[]] = [[], [], []];
  for (const run of jobs) (run.job.state === "running" ? running : run.job.state === "queued" ? queued : done).push(run);
  const place = (run: RunInfo) => run.job.position ?? Number.MAX_SAFE_INTEGER;
  running.sort((a, b) => (a.job.started ?? 0) - (b.job.started ?? 0));
  queued.sort((a, b) => place(a) - place(b) || b.job.priority - a.job.priority || a.job.created - b.job.created);
  done.sort((a, b) => (b.job.finished ?? b.job.created) - (a.job.finished ?? a.job.created));
  return { running, queued, done };
}

/** How far a run is, 0 to 1; undefined where nothing is known. */
export function progressOf(run: RunInfo, now: number): number | undefined {
  if (run.expectedSeconds && run.job.started !== null) return Math.min(0.99, (now - run.job.started) / run.expectedSeconds);
  const { done, cached, of } = run.job.progress;
  if (of === 0) return undefined;
  const working = [...run.nodes.values()].find((node) => node.state === "running" && node.total);
  return (done + cached + (working?.total ? (working.step ?? 0) / working.total : 0)) / of;
}
