/** What all faces of a tab have in common, found once after each change and not once per card. */
import { downstream, graphOf, isDefinition, links, modeOf, upstream } from "../document/graph";
import { entriesOf, keysOf, own, sameJson } from "../document/objects";
import type { Document, NodeSpec, Nodes, Place } from "../document/types";
import { api } from "../service/api";
import type { PlanNode, Problem } from "../service/types";
import { useCatalogue } from "./catalogue";
import { useConnection } from "./connection";
import { planOf } from "./plans";
import { ended, insideCount } from "./reduce";
import { shownRun, useRuns } from "./runs";
import type { PlanState, RunInfo, Tab } from "./types";
import { tabOf } from "./workspace";

/** One graph of the document, as it is reached by a way of uses. */
export interface GraphContext {
  readonly place: Place;
  readonly nodes: Nodes;
  /** What takes from a muted node, with that node. */
  readonly muted: ReadonlyMap<string, string>;
  /** What waits for a node with a problem or a failure, with that node. */
  readonly blocked: ReadonlyMap<string, { readonly id: string; readonly failed: boolean }>;
}

export interface Context {
  readonly tab: Tab;
  readonly document: Document;
  readonly plan: PlanState;
  readonly planned: boolean;
  readonly plans: ReadonlyMap<string, PlanNode>;
  readonly run: RunInfo | undefined;
  readonly fresh: boolean;
  /** Failed nodes that were not touched since, though others were. */
  readonly stillFailed: ReadonlySet<string>;
  readonly lost: boolean;
  readonly problems: ReadonlyMap<string, readonly Problem[]>;
  readonly pictures: ReadonlyMap<string, { readonly source: string; readonly number: number }>;
  readonly graphs: Map<string, GraphContext | null>;
}

/** What is known of a tab; undefined when it is gone. */
export function contextOf(id: string): Context | undefined {
  const tab = tabOf(id);
  if (!tab) return undefined;
  const document = tab.history.document;
  const plan = planOf(id);
  const run = shownRun(id);
  const fresh = run !== undefined && sameContent(run.document, document);
  return {
    tab,
    document,
    plan,
    planned: plan.asked === "known" || (plan.asked === "asking" && plan.nodes.size > 0),
    plans: summedUp(plan.nodes),
    run,
    fresh,
    stillFailed: fresh || !run ? new Set() : failedStill(run, document),
    lost: useConnection.getState().state === "lost",
    problems: problemsByNode(plan.problems),
    pictures: pictures(id),
    graphs: new Map(),
  };
}

/** Whether two documents run alike: what is only the editor's does not count. */
export function sameContent(a: unknown, b: Document): boolean {
  if (a === undefined || a === null) return false;
  const other = a as Document;
  return sameJson(other.nodes, b.nodes) && sameJson(other.definitions ?? null, b.definitions ?? null);
}

/** The graph that a way of uses leads to (`""` is the root); null when it leads nowhere. */
export function graphAt(context: Context, way: string): GraphContext | null {
  const found = context.graphs.get(way);
  if (found !== undefined) return found;
  const graph = readGraph(context, way);
  context.graphs.set(way, graph);
  return graph;
}

function readGraph(context: Context, way: string): GraphContext | null {
  let place: Place = null;
  let outer: { id: string; muted: boolean } | null = null;
  for (const id of way === "" ? [] : way.split("/")) {
    const spec: NodeSpec | undefined = own(graphOf(context.document, place).nodes, id);
    if (!spec || !isDefinition(context.document, spec.type)) return null;
    if (modeOf(spec) === "mute") outer = { id, muted: true };
    place = spec.type;
  }
  const { nodes } = graphOf(context.document, place);
  const muted = outer ? new Map(keysOf(nodes).map((id) => [id, outer.id])) : leftOut(nodes);
  return { place, nodes, muted, blocked: blocked(context, way, nodes, muted) };
}

/** Everything that depends on a muted node, with the nearest muted one. */
function leftOut(nodes: Nodes): Map<string, string> {
  const found = new Map<string, string>();
  for (const [id, spec] of entriesOf(nodes)) {
    if (modeOf(spec) !== "mute") continue;
    for (const user of downstream(nodes, [id])) if (user !== id && !found.has(user)) found.set(user, id);
  }
  if (found.size === 0) return found;
  // One that takes from a muted node itself names that one.
  for (const link of links(nodes)) {
    const source = own(nodes, link.source);
    if (source && modeOf(source) === "mute" && found.has(link.target)) found.set(link.target, link.source);
  }
  return found;
}

function blocked(context: Context, way: string, nodes: Nodes, muted: ReadonlyMap<string, string>): GraphContext["blocked"] {
  const found = new Map<string, { id: string; failed: boolean }>();
  const prefix = way === "" ? "" : `${way}/`;
  const { run } = context;
  const faulty: { id: string; failed: boolean }[] = [];
  for (const [id, spec] of entriesOf(nodes)) {
    const path = prefix + id;
    if (modeOf(spec) === "mute" || muted.has(id)) continue;
    if (hasError(context, path) || missingType(context.document, spec.type)) faulty.push({ id, failed: false });
    else if (run?.nodes.get(path)?.state === "failed" && (context.fresh || !ended(run.job) || context.stillFailed.has(path))) {
      faulty.push({ id, failed: true });
    }
  }
  for (const origin of faulty) {
    for (const id of downstream(nodes, [origin.id])) {
      if (id === origin.id || found.has(id)) continue;
      const state = origin.failed ? run?.nodes.get(prefix + id)?.state : undefined;
      if (state !== "done" && state !== "cached") found.set(id, origin);
    }
  }
  return found;
}

function hasError(context: Context, path: string): boolean {
  return context.problems.get(path)?.some((problem) => problem.severity === "error") ?? false;
}

/** Whether the catalogue is known and has no such type. */
export function missingType(document: Document, type: string): boolean {
  const { catalogue } = useCatalogue.getState();
  return catalogue !== null && !isDefinition(document, type) && catalogue.get(type) === undefined;
}

/** Problems by node; those of the inside of a definition stand at its uses as well. */
function problemsByNode(problems: readonly Problem[]): Map<string, Problem[]> {
  const found = new Map<string, Problem[]>();
  for (const problem of problems) {
    if (problem.node === null) continue;
    for (let path = problem.node; path !== ""; path = path.includes("/") ? path.slice(0, path.lastIndexOf("/")) : "") {
      const list = found.get(path);
      if (list) list.push(problem);
      else found.set(path, [problem]);
    }
  }
  return found;
}

const summed = new WeakMap<ReadonlyMap<string, PlanNode>, ReadonlyMap<string, PlanNode>>();

/** The plan with what the uses of definitions do as wholes. */
function summedUp(nodes: ReadonlyMap<string, PlanNode>): ReadonlyMap<string, PlanNode> {
  const before = summed.get(nodes);
  if (before) return before;
  const all = new Map(nodes);
  const inside = new Map<string, PlanNode[]>();
  for (const [id, node] of nodes) {
    for (let cut = id.lastIndexOf("/"); cut > 0; cut = id.lastIndexOf("/", cut - 1)) {
      const list = inside.get(id.slice(0, cut));
      if (list) list.push(node);
      else inside.set(id.slice(0, cut), [node]);
    }
  }
  for (const [id, list] of inside) if (!all.has(id)) all.set(id, together(list));
  summed.set(nodes, all);
  return all;
}

function together(list: readonly PlanNode[]): PlanNode {
  const working = list.filter((node) => node.will === "run" || node.will === "resume");
  if (working.length > 0) {
    const known = working.every((node) => node.seconds !== undefined);
    const seconds = working.reduce((sum, node) => sum + (node.seconds ?? 0), 0);
    return known ? { will: "run", seconds } : { will: "run" };
  }
  if (list.some((node) => node.will === "unknown")) return { will: "unknown" };
  const cached = list.filter((node) => node.will === "cached");
  if (cached.length === 0) return { will: "skip" };
  return { will: "cached", tier: cached.some((node) => node.tier === "disk") ? "disk" : "memory" };
}

/** Nodes that failed and are, with all that they take from, as they were then. */
function failedStill(run: RunInfo, document: Document): Set<string> {
  const found = new Set<string>();
  const then = run.document as Document | undefined;
  if (!then || run.job.state !== "failed") return found;
  for (const [path, node] of run.nodes) {
    if (node.state !== "failed") continue;
    const root = path.split("/")[0] ?? path;
    const same = [...upstream(document.nodes, [root])].every((id) => sameJson(own(then.nodes, id), own(document.nodes, id)));
    if (same && own(document.nodes, root) && sameJson(then.definitions ?? null, document.definitions ?? null)) found.add(path);
  }
  return found;
}

/** The last picture of each node: of what it saved, or of how far it was. */
function pictures(tab: string): Context["pictures"] {
  const found = new Map<string, { source: string; number: number }>();
  const { jobs, ofTab } = useRuns.getState();
  for (const id of ofTab.get(tab) ?? []) {
    const run = jobs.get(id);
    if (!run || !ended(run.job)) continue;
    for (const output of run.job.outputs) {
      if (output.kind !== "image" || !output.file || found.has(output.node)) continue;
      found.set(output.node, { source: api.fileUrl(output.file, 512), number: run.number });
    }
    for (const [path, node] of run.nodes) {
      if (node.preview && !found.has(path)) found.set(path, { source: node.preview, number: run.number });
    }
  }
  return found;
}

/** How many nodes a use has inside. */
export function insideOf(context: Context, path: string): number {
  return insideCount(context.document, path);
}
