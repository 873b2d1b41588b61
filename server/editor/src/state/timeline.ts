/** A run on a line: which node was when in which lane, what the run waited for longest, and what was expected. */
import { linksOfNode, order } from "../document/graph";
import { own } from "../document/objects";
import type { Document } from "../document/types";
import { useCatalogue } from "./catalogue";
import type { RunInfo } from "./types";

export type Lane = "cache" | "cpu" | "device" | "io";
export const LANES: readonly Lane[] = ["cache", "cpu", "device", "io"];

/** Seconds from the start of the run. */
export interface Span {
  readonly node: string;
  readonly lane: Lane;
  readonly from: number;
  readonly to: number;
  /** Still running, or not begun: the end is what is expected. */
  readonly open: boolean;
  readonly expected: boolean;
  readonly failed: boolean;
  /** On the path that the run's length comes from. */
  readonly critical: boolean;
}

export interface Timeline {
  readonly spans: readonly Span[];
  /** The worker's start, before the first node. */
  readonly worker: { readonly from: number; readonly to: number } | null;
  /** Where the line ends: now, the end, or what is expected. */
  readonly seconds: number;
  readonly criticalPath: readonly string[];
}

type Draft = { -readonly [Key in keyof Span]: Span[Key] };

/** The timeline of a run. `now` is the server's time, for what still runs. */
export function timelineOf(run: RunInfo, now: number): Timeline {
  const begin = run.job.started ?? run.job.created;
  const document = run.document as Document | undefined;
  const spans: Draft[] = [];
  const worker = run.worker ? { from: -run.worker.seconds, to: 0 } : null;
  for (const [node, state] of run.nodes) {
    if (state.inner !== undefined) continue; // its inside is here itself
    if (state.state === "cached" && state.ended !== undefined) {
      const at = Math.max(0, state.ended - begin);
      spans.push(span(node, "cache", at, at));
      continue;
    }
    if (state.began === undefined) continue;
    const running = state.state === "running";
    const from = Math.max(0, state.began - begin);
    const expected = run.expected?.get(node);
    const soFar = (running ? now : (state.ended ?? now)) - begin;
    const to = running && expected !== undefined ? Math.max(soFar, from + expected) : soFar;
    spans.push({ ...span(node, laneOf(document, node), from, to), open: running, failed: state.state === "failed" });
  }
  const path = criticalPath(spans, document);
  for (const item of spans) item.critical = path.has(item.node);
  if (run.job.state === "running") addExpected(spans, run, document);
  const end = run.job.finished === null ? now - begin : run.job.finished - begin;
  const seconds = Math.max(end, ...spans.map((item) => item.to), 0);
  return { spans, worker, seconds, criticalPath: [...path] };
}

function span(node: string, lane: Lane, from: number, to: number): Draft {
  return { node, lane, from, to, open: false, expected: false, failed: false, critical: false };
}

/** Nodes that did not begin stand after what they need, as long as they are expected to take. */
function addExpected(spans: Draft[], run: RunInfo, document: Document | undefined): void {
  if (!document || !run.expected) return;
  const ends = new Map(spans.map((item) => [item.node, item.to]));
  let busy = Math.max(0, ...spans.filter((item) => item.open).map((item) => item.to));
  for (const id of order(document.nodes)) {
    const seconds = run.expected.get(id);
    const spec = own(document.nodes, id);
    if (seconds === undefined || !spec || ends.has(id) || run.nodes.has(id)) continue;
    const before = [...linksOfNode(id, spec)].map((link) => ends.get(link.source) ?? 0);
    const from = Math.max(busy, 0, ...before);
    spans.push({ ...span(id, laneOf(document, id), from, from + seconds), open: true, expected: true });
    ends.set(id, from + seconds);
    busy = from + seconds;
  }
}

/** From the last end back: each time to what the node waited for last. */
function criticalPath(spans: readonly Draft[], document: Document | undefined): Set<string> {
  const ran = new Map(spans.filter((item) => item.lane !== "cache").map((item) => [item.node, item]));
  const path: string[] = [];
  let at = [...ran.values()].reduce<Draft | undefined>((last, item) => (!last || item.to > last.to ? item : last), undefined);
  while (at && !path.includes(at.node)) {
    path.push(at.node);
    const node = at.node;
    const spec = document && !node.includes("/") ? own(document.nodes, node) : undefined;
    const sources = spec ? new Set([...linksOfNode(node, spec)].map((link) => link.source)) : null;
    const began: number = at.from;
    at = [...ran.values()]
      // A definition's inside stands for it.
      .filter((item) => (sources ? sources.has(item.node.split("/")[0] ?? "") : item.node !== node) && item.to <= began + 0.01)
      .reduce<Draft | undefined>((last, item) => (!last || item.to > last.to ? item : last), undefined);
  }
  return new Set(path.reverse());
}

/** Where a node runs, by its type. */
export function laneOf(document: Document | undefined, path: string): Lane {
  let nodes = document?.nodes;
  let type: string | undefined;
  for (const id of path.split("/")) {
    type = own(nodes, id)?.type;
    nodes = type === undefined ? undefined : own(document?.definitions, type)?.nodes;
  }
  const resource = type === undefined ? undefined : useCatalogue.getState().catalogue?.get(type)?.resource;
  return resource === "device" || resource === "io" ? resource : "cpu";
}
