/** What runs: every job that this page knows of, with what happens to its nodes. */
import { create } from "zustand";
import type { Job, JobEvent, Preview, Queue } from "../service/types";
import { numberOf } from "./numbers";
import { takeReport } from "./reports";
import { closed, ended, jobFromEvent, type Open, opened, runOf, take } from "./reduce";
import type { NodeRun, RunInfo } from "./types";

export interface Runs {
  /** By job, in the order in which they became known. */
  readonly jobs: ReadonlyMap<string, RunInfo>;
  /** Jobs of a tab, the newest first. */
  readonly ofTab: ReadonlyMap<string, readonly string[]>;
  readonly queue: Queue;
  /** Runs of a tab that wait for the server to come back. */
  readonly unsent: ReadonlyMap<string, number>;
}

/** So many ended runs are remembered with their nodes. */
const MOST_RUNS = 200;

export const useRuns = create<Runs>(() => ({
  jobs: new Map(),
  ofTab: new Map(),
  queue: { paused: false, queued: 0, running: 0 },
  unsent: new Map(),
}));

/** Told of nodes whose run became another one, and of `null` for the job as a whole. Cards listen here, one key each. */
type NodeListener = (job: string, node: string | null) => void;
const nodeListeners = new Set<NodeListener>();

export function onNodeChange(listener: NodeListener): () => void {
  nodeListeners.add(listener);
  return () => void nodeListeners.delete(listener);
}

function told(job: string, touched: Iterable<string>, whole: boolean): void {
  for (const listener of nodeListeners) {
    for (const node of touched) listener(job, node);
    if (whole) listener(job, null);
  }
}

// -- events, many at once

const waiting: (JobEvent | Preview)[] = [];
let flushing: ReturnType<typeof setTimeout> | null = null;
/** Events of a frame are taken together: a run of a thousand nodes tells thousands. */
const FRAME = 16;

let ahead = 0;

/** The time at the server in seconds since 1970: its clock may be another than ours. */
export function serverNow(): number {
  return Date.now() / 1000 + ahead;
}

/** Takes an event of a job, or a preview, with the next frame. */
export function takeEvent(event: JobEvent | Preview): void {
  // Steps are told as they happen; stored events may be old ones.
  if ("event" in event && event.event === "node_progress") ahead = event.time - Date.now() / 1000;
  if ("event" in event && event.event === "node_report") takeReport(event as JobEvent);
  waiting.push(event);
  flushing ??= setTimeout(flushEvents, FRAME);
}

/** Takes what waits now. */
export function flushEvents(): void {
  if (flushing !== null) clearTimeout(flushing);
  flushing = null;
  if (waiting.length === 0) return;
  const batch = waiting.splice(0);
  const jobs = new Map(useRuns.getState().jobs);
  const open = new Map<string, Open>();
  for (const item of batch) {
    let run = open.get(item.job);
    if (!run) {
      let info = jobs.get(item.job);
      if (!info) {
        if ("data" in item && item.data instanceof Uint8Array) continue;
        info = runOf(jobFromEvent(item as JobEvent), numberOf(item.job));
      }
      run = opened(info);
      open.set(item.job, run);
    }
    if ("data" in item && item.data instanceof Uint8Array) takePreview(run, item as Preview);
    else {
      const event = item as JobEvent;
      if (event.state === undefined || event.state >= run.info.next) take(run, event);
    }
  }
  for (const [id, run] of open) {
    const before = jobs.get(id);
    const now = closed(run);
    jobs.set(id, now);
    // A run that begins anew, or a use whose inside has another picture, lets pictures go without a word.
    revokeGone([...picturesIn(before), ...run.made], now);
  }
  useRuns.setState({ jobs: pruned(jobs) });
  for (const [id, run] of open) told(id, run.touched, run.whole);
}

function takePreview(run: Open, preview: Preview): void {
  const before = run.nodes.get(preview.node);
  if (ended(run.info.job) || before?.state === "done") return;
  const source = URL.createObjectURL(new Blob([preview.data as BlobPart], { type: preview.mime }));
  run.made.push(source);
  run.nodes.set(preview.node, { ...(before ?? { state: "running" }), preview: source });
  run.touched.add(preview.node);
  for (let cut = preview.node.lastIndexOf("/"); cut > 0; cut = preview.node.lastIndexOf("/", cut - 1)) {
    const use = preview.node.slice(0, cut);
    const outer: NodeRun = run.nodes.get(use) ?? { state: "running" };
    run.nodes.set(use, { ...outer, preview: source });
    run.touched.add(use);
  }
}

/** The pictures that a run has, each once. */
function picturesIn(info: RunInfo | undefined): Set<string> {
  const found = new Set<string>();
  for (const node of info?.nodes.values() ?? []) if (node.preview !== undefined) found.add(node.preview);
  return found;
}

/** Lets go of those pictures that a run has no more. */
function revokeGone(pictures: Iterable<string>, now: RunInfo | undefined): void {
  let there: Set<string> | null = null;
  for (const source of pictures) if (!(there ??= picturesIn(now)).has(source)) later(source);
}

/** Revokes an object URL a moment later, so that a picture in a card does not break while it is replaced. */
function later(source: string): void {
  setTimeout(() => URL.revokeObjectURL(source), 1000);
}

/** The pictures of a run go: the newer run has its own. */
export function dropPreviews(job: string): void {
  const info = useRuns.getState().jobs.get(job);
  if (!info) return;
  const nodes = new Map(info.nodes);
  const touched: string[] = [];
  for (const [id, node] of info.nodes) {
    if (node.preview === undefined) continue;
    const { preview: _, ...rest } = node;
    nodes.set(id, rest);
    touched.push(id);
  }
  if (touched.length === 0) return;
  put({ ...info, nodes });
  told(job, touched, false);
}

/** Of each tab that is open, the newest run that ended keeps its pictures; no other one that ended does. */
export function dropOldPreviews(tabs: Iterable<string>): void {
  const { jobs, ofTab } = useRuns.getState();
  const kept = new Set<string>();
  for (const tab of tabs) {
    const newest = (ofTab.get(tab) ?? []).find((id) => {
      const info = jobs.get(id);
      return info !== undefined && ended(info.job);
    });
    if (newest !== undefined) kept.add(newest);
  }
  for (const [id, info] of jobs) if (ended(info.job) && !kept.has(id)) dropPreviews(id);
}

// -- jobs

function put(info: RunInfo): void {
  const { jobs } = useRuns.getState();
  const before = jobs.get(info.job.id);
  useRuns.setState({ jobs: pruned(new Map(jobs).set(info.job.id, info)) });
  if (before && before.nodes !== info.nodes) revokeGone(picturesIn(before), info);
}

/** Takes what the server says of a job; what events have told beyond it stays. */
export function takeJob(job: Job, more: Partial<RunInfo> = {}): RunInfo {
  const before = useRuns.getState().jobs.get(job.id);
  const newer = before && (rank(before.job) > rank(job) || (before.job.state === "running" && job.state === "running"));
  const merged = newer ? { ...job, ...behind(before.job) } : job;
  const info: RunInfo = before ? { ...before, job: merged, ...more } : runOf(merged, numberOf(job.id), more);
  put(info);
  told(job.id, [], true);
  return info;
}

/** What an answer cannot know yet, since events came after it was written. */
function behind(job: Job): Pick<Job, "state" | "started" | "finished" | "progress" | "error"> {
  const { state, started, finished, progress, error } = job;
  return { state, started, finished, progress, error };
}

function rank(job: Job): number {
  return ended(job) ? 2 : job.state === "running" ? 1 : 0;
}

/** Says that a job was started from a tab. */
export function giveToTab(job: string, tab: string): void {
  const { jobs, ofTab } = useRuns.getState();
  const list = ofTab.get(tab) ?? [];
  const info = jobs.get(job);
  useRuns.setState({
    ...(info && { jobs: new Map(jobs).set(job, { ...info, tab }) }),
    ofTab: new Map(ofTab).set(tab, [job, ...list.filter((id) => id !== job)].slice(0, 50)),
  });
  told(job, [], true);
}

/** The server has no such job any more. */
export function forgetJob(id: string): void {
  dropPreviews(id);
  useRuns.setState(({ jobs, ofTab }) => {
    const rest = new Map(jobs);
    rest.delete(id);
    return { jobs: rest, ofTab: new Map([...ofTab].map(([tab, list]) => [tab, list.filter((job) => job !== id)])) };
  });
  told(id, [], true);
}

/** Old ended runs go, with their pictures. */
function pruned(jobs: Map<string, RunInfo>): Map<string, RunInfo> {
  if (jobs.size <= MOST_RUNS) return jobs;
  for (const [id, info] of jobs) {
    if (jobs.size <= MOST_RUNS) break;
    if (!ended(info.job)) continue;
    revokeGone(picturesIn(info), undefined);
    jobs.delete(id);
  }
  return jobs;
}

/** The run that a tab's cards show: what runs, else what waits, else what was last. */
export function shownRun(tab: string): RunInfo | undefined {
  const { jobs, ofTab } = useRuns.getState();
  const runs = (ofTab.get(tab) ?? []).map((id) => jobs.get(id)).filter((info) => info !== undefined);
  return (
    runs.find((info) => info.job.state === "running") ??
    runs.findLast((info) => info.job.state === "queued") ??
    runs.find((info) => ended(info.job))
  );
}
