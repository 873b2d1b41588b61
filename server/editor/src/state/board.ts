/** The faces of nodes, each with its own listeners: an event of one node wakes one card, however many there are. */
import { useCallback, useSyncExternalStore } from "react";
import { modeOf } from "../document/graph";
import { own } from "../document/objects";
import { useCatalogue } from "./catalogue";
import { useConnection } from "./connection";
import { type Context, contextOf, graphAt, insideOf, missingType } from "./context";
import { faceOf, type Known } from "./faces";
import { usePlan } from "./plans";
import { ended } from "./reduce";
import { onNodeChange, serverNow, useRuns } from "./runs";
import type { Face } from "./types";
import { useWorkspace } from "./workspace";
import { isDefinition } from "../document/graph";

interface Board {
  context: Context | undefined;
  readonly faces: Map<string, Face>;
  readonly listeners: Map<string, Set<() => void>>;
}

const boards = new Map<string, Board>();
const UNKNOWN: Face = { state: "unknown", words: "not asked yet", aside: "", icon: "ring" };

function boardOf(tab: string): Board {
  let board = boards.get(tab);
  if (!board) {
    board = { context: undefined, faces: new Map(), listeners: new Map() };
    boards.set(tab, board);
  }
  return board;
}

/**
 * How a node stands, in words: the same for the card, the outline and a screen reader. `path` is the node's id in a run:
 * `id` in the root, `use/id` inside of a definition (`runId` makes it of a tab and an id).
 */
export function nodeFace(tab: string, path: string): Face {
  listen();
  const board = boardOf(tab);
  const found = board.faces.get(path);
  if (found) return found;
  board.context ??= contextOf(tab);
  const known = board.context && knownOf(board.context, path);
  const face = known ? faceOf(known) : UNKNOWN;
  board.faces.set(path, face);
  return face;
}

/** Calls back when the face of a node becomes another one. */
export function onFace(tab: string, path: string, listener: () => void): () => void {
  listen();
  const { listeners } = boardOf(tab);
  let set = listeners.get(path);
  if (!set) {
    set = new Set();
    listeners.set(path, set);
  }
  set.add(listener);
  return () => {
    set.delete(listener);
    if (set.size === 0 && listeners.get(path) === set) listeners.delete(path);
  };
}

/** The face of a node in a component. */
export function useNodeFace(tab: string, path: string): Face {
  const subscribe = useCallback((listener: () => void) => onFace(tab, path, listener), [tab, path]);
  return useSyncExternalStore(subscribe, () => nodeFace(tab, path));
}

function knownOf(context: Context, path: string): Known | null {
  const cut = path.lastIndexOf("/");
  const graph = graphAt(context, cut < 0 ? "" : path.slice(0, cut));
  const id = path.slice(cut + 1);
  const spec = graph && own(graph.nodes, id);
  if (!graph || !spec) return null;
  // The run's nodes are read anew: the context holds what changes seldom.
  const run = context.run && useRuns.getState().jobs.get(context.run.job.id);
  const node = run?.nodes.get(path) ?? null;
  const job = run?.job;
  const errors = (context.problems.get(path) ?? []).filter((problem) => problem.severity === "error");
  const definition = isDefinition(context.document, spec.type);
  const replaceable = errors.some((problem) => problem.code === "unknown_node_type" && problem.suggestion);
  return {
    mode: modeOf(spec),
    missing: missingType(context.document, spec.type),
    isDefinition: definition,
    inside: definition ? insideOf(context, path) : 0,
    mutedSource: graph.muted.get(id) ?? null,
    problems: errors,
    blockedBy: graph.blocked.get(id) ?? null,
    plan: context.plans.get(path) ?? null,
    planned: context.planned,
    run: node,
    job: job === undefined ? null : ended(job) ? "ended" : job.state === "running" ? "running" : "queued",
    fresh: (context.fresh && job?.state !== "cancelled") || context.stillFailed.has(path),
    before: job?.position ?? null,
    lost: context.lost,
    expected: run?.expected?.get(path) ?? null,
    opens: job?.outputs.some((output) => output.node === path && output.file !== undefined) ?? false,
    replaceable,
    now: serverNow(),
    last: context.pictures.get(path) ?? null,
  };
}

// -- what changes faces

let listening = false;

function listen(): void {
  if (listening) return;
  listening = true;
  onNodeChange((job, node) => {
    const info = useRuns.getState().jobs.get(job);
    if (!info) {
      refreshAll();
      return;
    }
    if (info.tab === null) return;
    if (node === null || info.nodes.get(node)?.state === "failed") refresh(info.tab);
    else if (boards.get(info.tab)?.context?.run?.job.id === job) refreshNode(info.tab, node);
    keepTime();
  });
  usePlan.subscribe((now, before) => {
    for (const [tab, plan] of now.ofTab) if (before.ofTab.get(tab) !== plan) refresh(tab);
  });
  useWorkspace.subscribe((now, before) => {
    if (now.tabs === before.tabs) return;
    const past = new Map(before.tabs.map((tab) => [tab.id, tab]));
    for (const tab of now.tabs) if (past.get(tab.id)?.history.document !== tab.history.document) refresh(tab.id);
    for (const id of past.keys()) if (!now.tabs.some((tab) => tab.id === id)) boards.delete(id);
  });
  useConnection.subscribe((now, before) => {
    if ((now.state === "lost") !== (before.state === "lost")) refreshAll();
  });
  useCatalogue.subscribe((now, before) => {
    if (now.catalogue !== before.catalogue) refreshAll();
  });
}

function refreshAll(): void {
  for (const tab of boards.keys()) refresh(tab);
}

/** Everything about a tab may be another: its faces are found again, and who looks at one that changed is told. */
function refresh(tab: string): void {
  const board = boards.get(tab);
  if (!board) return;
  board.context = undefined;
  const before = new Map(board.faces);
  board.faces.clear();
  for (const [path, listeners] of [...board.listeners]) tellOf(board, tab, path, before.get(path), listeners);
}

function refreshNode(tab: string, path: string): void {
  const board = boards.get(tab);
  if (!board) return;
  const before = board.faces.get(path);
  board.faces.delete(path);
  const listeners = board.listeners.get(path);
  if (listeners) tellOf(board, tab, path, before, listeners);
}

function tellOf(board: Board, tab: string, path: string, before: Face | undefined, listeners: Set<() => void>): void {
  const now = nodeFace(tab, path);
  if (before && sameFace(before, now)) {
    board.faces.set(path, before); // the same object, so that nothing is drawn again
    return;
  }
  for (const listener of [...listeners]) listener();
}

function sameFace(a: Face, b: Face): boolean {
  return (
    a.state === b.state &&
    a.words === b.words &&
    a.aside === b.aside &&
    a.bar === b.bar &&
    a.icon === b.icon &&
    a.turns === b.turns &&
    a.tip === b.tip &&
    a.message === b.message &&
    a.items?.done === b.items?.done &&
    a.items?.of === b.items?.of &&
    a.picture?.source === b.picture?.source &&
    a.picture?.corner === b.picture?.corner &&
    a.links?.join() === b.links?.join()
  );
}

// -- time that passes while a node tells nothing

let clock: ReturnType<typeof setInterval> | null = null;

function keepTime(): void {
  if (clock !== null) return;
  clock = setInterval(() => {
    let works = false;
    for (const [tab, { context }] of boards) {
      const run = context?.run && useRuns.getState().jobs.get(context.run.job.id);
      if (run?.job.state !== "running") continue;
      works = true;
      for (const [path, node] of run.nodes) if (node.state === "running") refreshNode(tab, path);
    }
    if (!works && clock !== null) {
      clearInterval(clock);
      clock = null;
    }
  }, 1000);
}
