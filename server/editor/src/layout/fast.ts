/** Layers of a large graph in a moment: what layered.ts finds better, but for thousands of cards not in seconds. */
import type { Point } from "../document/edit-cards";

const SWEEPS = 4;

/** The middles of the nodes; those of one layer have the same x. A node stands one layer after the last of its sources. */
export function fastLayers(ids: readonly string[], wires: readonly (readonly [string, string])[]): Map<string, Point> {
  const members = new Set(ids);
  const sources = new Map<string, string[]>(ids.map((id) => [id, []]));
  const targets = new Map<string, string[]>(ids.map((id) => [id, []]));
  const waits = new Map<string, number>(ids.map((id) => [id, 0]));
  for (const [source, target] of wires) {
    if (!members.has(source) || !members.has(target) || source === target) continue;
    sources.get(target)?.push(source);
    targets.get(source)?.push(target);
    waits.set(target, (waits.get(target) ?? 0) + 1);
  }
  const layer = new Map<string, number>();
  const ready = ids.filter((id) => waits.get(id) === 0);
  for (let at = 0; at < ready.length; at += 1) {
    const id = ready[at] ?? "";
    const own = layer.get(id) ?? 0;
    layer.set(id, own);
    for (const target of targets.get(id) ?? []) {
      layer.set(target, Math.max(layer.get(target) ?? 0, own + 1));
      const left = (waits.get(target) ?? 0) - 1;
      waits.set(target, left);
      if (left === 0) ready.push(target);
    }
  }
  // Those of a circle stand where they were last put.
  const layers: string[][] = [];
  for (const id of ids) (layers[layer.get(id) ?? 0] ??= []).push(id);
  const at = new Map<string, number>();
  const number = (list: readonly string[]): void => list.forEach((id, index) => at.set(id, index));
  for (const list of layers) if (list !== undefined) number(list);
  for (let sweep = 0; sweep < SWEEPS; sweep += 1) {
    const near = sweep % 2 === 0 ? sources : targets;
    for (const list of sweep % 2 === 0 ? layers : layers.toReversed()) {
      if (list === undefined) continue;
      const wanted = new Map(
        list.map((id) => {
          const others = near.get(id) ?? [];
          return [id, others.length === 0 ? (at.get(id) ?? 0) : others.reduce((sum, other) => sum + (at.get(other) ?? 0), 0) / others.length];
        }),
      );
      list.sort((a, b) => (wanted.get(a) ?? 0) - (wanted.get(b) ?? 0));
      number(list);
    }
  }
  return new Map(ids.map((id) => [id, { x: (layer.get(id) ?? 0) * 100, y: (at.get(id) ?? 0) * 100 }]));
}
