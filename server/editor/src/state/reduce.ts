/** What events do to what is known of a run. Plain functions: the same events give the same run. */
import { graphOf, isDefinition } from "../document/graph";
import { entriesOf } from "../document/objects";
import type { Document } from "../document/types";
import type { Job, JobEvent } from "../service/types";
import type { NodeRun, RunInfo } from "./types";

/** A run that is being changed: its map is a copy of our own until it is given away. */
export interface Open {
  info: RunInfo;
  nodes: Map<string, NodeRun>;
  /** Nodes whose run became another one. */
  readonly touched: Set<string>;
  /** Object URLs of previews that came. */
  readonly made: string[];
  /** The job as a whole changed: started, ended. */
  whole: boolean;
}

/** Begins to change a run. */
export function opened(info: RunInfo): Open {
  return { info, nodes: new Map(info.nodes), touched: new Set(), made: [], whole: false };
}

/** The run after the changes. */
export function closed(open: Open): RunInfo {
  return { ...open.info, nodes: open.nodes };
}

/** What is known of a job of which no event was seen. */
export function runOf(job: Job, number: number, more: Partial<RunInfo> = {}): RunInfo {
  return { job, number, tab: null, next: 0, nodes: new Map(), of: job.progress.of, ...more };
}

/** A job of which only an event is known yet. */
export function jobFromEvent(event: JobEvent): Job {
  return {
    id: event.job,
    state: "queued",
    title: "",
    tags: [],
    priority: 0,
    position: null,
    slot: null,
    created: event.time,
    started: null,
    finished: null,
    attempts: 0,
    progress: { done: 0, cached: 0, of: 0 },
    seconds: null,
    ran: null,
    cached: 0,
    outputs: [],
    error: null,
  };
}

/** Takes one event. */
export function take(open: Open, event: JobEvent): void {
  if (event.state !== undefined) open.info = { ...open.info, next: Math.max(open.info.next, event.state + 1) };
  if (event.event.startsWith("job_")) takeJob(open, event);
  else if (event.event === "worker_started") {
    open.info = { ...open.info, worker: { worker: event.worker ?? 0, seconds: event.seconds ?? 0 } };
    open.whole = true;
  } else if (event.node !== null && event.node !== undefined) takeNode(open, event, event.node);
}

function takeJob(open: Open, event: JobEvent): void {
  const job = open.info.job;
  open.whole = true;
  switch (event.event) {
    case "job_queued":
      // It comes back to the queue when its worker died: what ran is told anew.
      if (job.state === "running") open.info = { ...open.info, job: { ...job, state: "queued" } };
      return;
    case "job_started":
      for (const id of open.nodes.keys()) open.touched.add(id);
      open.nodes = new Map();
      open.info = {
        ...open.info,
        of: event.nodes ?? open.info.of,
        job: {
          ...job,
          state: ended(job) ? job.state : "running",
          started: event.time,
          position: null,
          progress: { done: 0, cached: 0, of: event.nodes ?? 0 },
        },
      };
      return;
    case "job_finished":
      open.info = {
        ...open.info,
        job: {
          ...job,
          state: "done",
          finished: event.time,
          seconds: event.seconds ?? job.seconds,
          ran: event.ran ?? job.ran,
          cached: event.cached ?? job.cached,
        },
      };
      return;
    case "job_failed":
      open.info = { ...open.info, job: { ...job, state: "failed", finished: event.time, error: event.error ?? job.error } };
      stop(open, event.time);
      return;
    case "job_cancelled":
      open.info = { ...open.info, job: { ...job, state: "cancelled", finished: event.time } };
      stop(open, event.time);
      return;
  }
}

/** Nodes that ran when the job ended run no more. */
function stop(open: Open, time: number): void {
  for (const [id, node] of open.nodes) {
    if (node.state === "running") change(open, id, { state: "waits", ended: time });
  }
}

/** Whether a job has come to its end. */
export function ended(job: Job): boolean {
  return job.state === "done" || job.state === "failed" || job.state === "cancelled";
}

function takeNode(open: Open, event: JobEvent, id: string): void {
  const before = open.nodes.get(id);
  switch (event.event) {
    case "node_started":
      change(open, id, { state: "running", began: before?.began ?? event.time, ...(event.why && { why: event.why }) });
      break;
    case "node_progress":
      if (event.message === "items") {
        change(open, id, { state: "running", items: { done: event.step ?? 0, of: event.total ?? 0 } });
      } else {
        progress(open, id, event);
      }
      break;
    case "node_resumed":
      change(open, id, { state: "running", resumed: event.steps ?? 0, step: event.steps ?? 0, total: event.total ?? 0 });
      break;
    case "node_cached":
      change(open, id, { state: "cached", tier: event.tier ?? "memory", ended: event.time });
      break;
    case "node_retried":
      change(open, id, { attempt: event.attempt ?? 0, message: "trying again" });
      break;
    case "node_skipped":
      if (event.item === null || event.item === undefined) {
        change(open, id, { state: "skipped", reason: event.reason ?? "", ended: event.time });
      }
      break;
    case "node_finished":
      change(open, id, { state: "done", seconds: event.seconds ?? 0, ended: event.time });
      break;
    case "node_failed":
      change(open, id, { state: "failed", ended: event.time, ...(event.error && { error: event.error }) });
      break;
    default:
      return;
  }
  const now = open.nodes.get(id);
  if (now) {
    count(open, before, now);
    sumUp(open, id, before, now);
  }
}

function progress(open: Open, id: string, event: JobEvent): void {
  const before = open.nodes.get(id);
  const step = event.step ?? before?.step ?? 0;
  const first = before?.paced === undefined || step < before.paced.step;
  change(open, id, {
    state: "running",
    step,
    total: event.total ?? before?.total ?? 0,
    message: event.message ?? "",
    began: before?.began ?? event.time,
    ...(first && { paced: { time: event.time, step } }),
  });
}

function change(open: Open, id: string, change: Partial<NodeRun>): void {
  const before = open.nodes.get(id) ?? { state: "waits" as const };
  open.nodes.set(id, { ...before, ...change });
  open.touched.add(id);
}

const settled = (node: NodeRun | undefined): boolean =>
  node !== undefined && (node.state === "done" || node.state === "cached" || node.state === "skipped");

/** The job's own count, so that its row moves without asking for the job again. */
function count(open: Open, before: NodeRun | undefined, now: NodeRun): void {
  if (settled(before) || !settled(now)) return;
  const { job } = open.info;
  const cached = now.state === "cached";
  const progress = {
    done: job.progress.done + (cached ? 0 : 1),
    cached: job.progress.cached + (cached ? 1 : 0),
    of: Math.max(job.progress.of, open.info.of),
  };
  open.info = { ...open.info, job: { ...job, progress } };
}

/** Brings what happened inside of a definition to the nodes that use it, outwards. */
function sumUp(open: Open, id: string, before: NodeRun | undefined, now: NodeRun): void {
  for (let cut = id.lastIndexOf("/"); cut > 0; cut = id.lastIndexOf("/", cut - 1)) {
    const use = id.slice(0, cut);
    const outer = open.nodes.get(use);
    const of = insideCount(open.info.document as Document | undefined, use);
    const done = (outer?.inner?.done ?? 0) + (settled(now) && !settled(before) ? 1 : 0);
    const ran = now.state === "done" && !settled(before) ? (now.seconds ?? 0) : 0;
    const inner = { name: id.slice(cut + 1), done, of: of || Math.max(outer?.inner?.of ?? 0, done) };
    const seconds = (outer?.seconds ?? 0) + ran;
    const next: Partial<NodeRun> = { inner: now.state === "running" || !outer?.inner ? inner : { ...outer.inner, done } };
    if (now.state === "failed") change(open, use, { ...next, state: "failed", ...(now.error && { error: now.error }) });
    else if (outer?.state === "failed") change(open, use, next);
    else if (of > 0 && done >= of) change(open, use, { ...next, ...whole(open, use, now), seconds });
    else if (now.state === "running" || now.state === "done" || outer?.state === "running") {
      const preview = now.preview === undefined ? {} : { preview: now.preview };
      const began = outer?.began ?? now.began;
      change(open, use, { ...next, ...preview, state: "running", seconds, ...(began !== undefined && { began }) });
    } else change(open, use, { ...next, state: "waits" });
  }
}

/** What a use is when all of its inside is settled. */
function whole(open: Open, use: string, last: NodeRun): Partial<NodeRun> {
  const states: NodeRun[] = [];
  for (const [id, node] of open.nodes) if (id.startsWith(`${use}/`) && node.inner === undefined) states.push(node);
  const end = last.ended === undefined ? {} : { ended: last.ended };
  if (states.some((node) => node.state === "done")) return { state: "done", ...end };
  const tiers = states.map((node) => node.tier);
  const tier = tiers.includes("disk") ? "disk" : tiers.includes("memory") ? "memory" : "unneeded";
  return { state: "cached", tier, ...end };
}

const insides = new WeakMap<object, Map<string, number>>();

/** How many nodes a use has inside, through all definitions; 0 where that is not known. */
export function insideCount(document: Document | undefined, use: string): number {
  if (!document) return 0;
  let counts = insides.get(document);
  if (!counts) insides.set(document, (counts = new Map()));
  let count = counts.get(use);
  if (count === undefined) counts.set(use, (count = countInside(document, use)));
  return count;
}

function countInside(document: Document, use: string): number {
  let place: string | null = null;
  for (const id of use.split("/")) {
    const type: string | undefined = entriesOf(graphOf(document, place).nodes).find(([key]) => key === id)?.[1].type;
    if (type === undefined || !isDefinition(document, type)) return 0;
    place = type;
  }
  return nodesIn(document, place, 0);
}

function nodesIn(document: Document, place: string | null, depth: number): number {
  if (depth > 16) return 0;
  let found = 0;
  for (const [, spec] of entriesOf(graphOf(document, place).nodes)) {
    if (spec.mode === "mute" || spec.mode === "bypass") continue;
    found += isDefinition(document, spec.type) ? nodesIn(document, spec.type, depth + 1) : 1;
  }
  return found;
}
