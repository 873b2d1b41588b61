/** Layers of a graph by dagre. Loaded when something is tidied, not before. */
import dagre from "@dagrejs/dagre";
import type { Point } from "../document/edit-cards";

/** The middles of the nodes; those of one layer have the same x. */
export function layered(
  ids: readonly string[],
  shapes: ReadonlyMap<string, { readonly width: number; readonly height: number }>,
  wires: readonly (readonly [string, string])[],
): Map<string, Point> {
  const [first] = ids;
  if (ids.length === 1 && first !== undefined) return new Map([[first, { x: 0, y: (shapes.get(first)?.height ?? 0) / 2 }]]);
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
