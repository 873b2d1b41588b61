/** Layers of a graph by dagre. Loaded when something is tidied, not before. */
import dagre from "@dagrejs/dagre";
import type { Point } from "../document/edit-cards";

/** Dagre takes minutes for thousands of nodes, and the page would stand still as long. */
const MOST_BY_DAGRE = 1500;

/** Each node one column behind the last of those it takes from, in the order of the document. */
function byDepth(ids: readonly string[], wires: readonly (readonly [string, string])[]): Map<string, Point> {
  const takers = new Map<string, string[]>(ids.map((id) => [id, []]));
  const open = new Map<string, number>(ids.map((id) => [id, 0]));
  for (const [source, target] of wires) {
    const list = takers.get(source);
    if (!list || !open.has(target)) continue;
    list.push(target);
    open.set(target, (open.get(target) ?? 0) + 1);
  }
  const depth = new Map<string, number>(ids.map((id) => [id, 0]));
  const ready = ids.filter((id) => open.get(id) === 0);
  for (let id = ready.pop(); id !== undefined; id = ready.pop()) {
    for (const taker of takers.get(id) ?? []) {
      depth.set(taker, Math.max(depth.get(taker) ?? 0, (depth.get(id) ?? 0) + 1));
      const left = (open.get(taker) ?? 0) - 1;
      open.set(taker, left);
      if (left === 0) ready.push(taker);
    }
  }
  return new Map(ids.map((id, index) => [id, { x: depth.get(id) ?? 0, y: index }]));
}

/** The middles of the nodes; those of one layer have the same x. */
export function layered(
  ids: readonly string[],
  shapes: ReadonlyMap<string, { readonly width: number; readonly height: number }>,
  wires: readonly (readonly [string, string])[],
): Map<string, Point> {
  const [first] = ids;
  if (ids.length === 1 && first !== undefined) return new Map([[first, { x: 0, y: (shapes.get(first)?.height ?? 0) / 2 }]]);
  if (ids.length > MOST_BY_DAGRE) return byDepth(ids, wires);
  const graph = new dagre.graphlib.Graph();
  graph.setGraph({ rankdir: "LR", nodesep: 32, edgesep: 8, ranksep: 48, ranker: ids.length > 300 ? "longest-path" : "network-simplex" });
  graph.setDefaultEdgeLabel(() => ({}));
  const members = new Set(ids);
  // Names of our own: dagre keeps nodes in plain objects, where an id such as "constructor" is no plain id.
  const names = new Map(ids.map((id, index) => [id, `n${index}`]));
  for (const id of ids) {
    const { width = 0, height = 0 } = shapes.get(id) ?? {};
    graph.setNode(names.get(id) ?? "", { width, height });
  }
  for (const [source, target] of wires) {
    if (members.has(source) && members.has(target)) graph.setEdge(names.get(source) ?? "", names.get(target) ?? "");
  }
  dagre.layout(graph);
  return new Map(
    ids.map((id) => {
      const node = graph.node(names.get(id) ?? "");
      return [id, { x: Math.round(node.x ?? 0), y: node.y ?? 0 }];
    }),
  );
}
