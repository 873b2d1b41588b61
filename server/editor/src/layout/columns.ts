/** Cards in columns: layers and their order are given, where each stands in its column is found here. */
import type { Point } from "../document/edit-cards";

export interface Shape {
  readonly width: number;
  readonly height: number;
}

const GRID = 8;
/** Between columns: room for wires. Each output that goes up or down there has a track more, up to a limit. */
const COLUMN = 48;
const ROW = 32;
const MOST_TRACKS = 12;
/** Wires over more columns than this are long, are drawn as tags, and pull at no card. */
const NEAR = 2;
const SWEEPS = 6;

type Wires = readonly (readonly [string, string])[];

/** Cards of one column begin at the same x and stand as level with their neighbours as their order allows. */
export function columned(middles: ReadonlyMap<string, Point>, shapes: ReadonlyMap<string, Shape>, wires: Wires): Map<string, Point> {
  const at = [...new Set([...middles.values()].map((point) => point.x))].sort((a, b) => a - b);
  const columnOf = new Map([...middles].map(([id, { x }]) => [id, at.indexOf(x)]));
  const columns = at.map((): string[] => []);
  for (const [id, column] of columnOf) columns[column]?.push(id);
  for (const ids of columns) ids.sort((a, b) => (middles.get(a)?.y ?? 0) - (middles.get(b)?.y ?? 0));
  orderByInputs(columns, columnOf, wires);
  const lefts = leftsOf(columns, columnOf, shapes, wires);
  const tops = topsOf(columns, columnOf, shapes, wires);
  const found = new Map<string, Point>();
  for (const [index, ids] of columns.entries()) {
    let free = Number.NEGATIVE_INFINITY;
    for (const id of ids) {
      const y = Math.max(snap(tops.get(id) ?? 0), Number.isFinite(free) ? Math.ceil(free / GRID) * GRID : free);
      found.set(id, { x: snap(lefts[index] ?? 0), y });
      free = y + heightOf(shapes, id) + ROW - GRID;
    }
  }
  return found;
}

/** Cards of a column in the order of the inputs that they go to, where that makes fewer wires cross. */
function orderByInputs(columns: string[][], columnOf: ReadonlyMap<string, number>, wires: Wires): void {
  if (wires.length > MOST_COUNTED) return;
  const inputs = new Map<string, number>();
  const ends = wires.flatMap(([source, target]) => {
    if ((columnOf.get(target) ?? 0) - (columnOf.get(source) ?? 0) !== 1) return [];
    const input = inputs.get(target) ?? 0;
    inputs.set(target, input + 1);
    return [{ source, target, input, gap: columnOf.get(target) ?? 0 }];
  });
  for (let index = columns.length - 2; index >= 0; index -= 1) {
    const column = columns[index] as string[];
    const at = (id: string): number => columns[columnOf.get(id) ?? 0]?.indexOf(id) ?? 0;
    const key = (id: string): number => {
      const own = ends.filter((end) => end.source === id).map((end) => at(end.target) + end.input / 100);
      return own.length > 0 ? own.reduce((sum, one) => sum + one, 0) / own.length : at(id);
    };
    const before = crossings(ends, at);
    const keys = new Map(column.map((id) => [id, key(id)]));
    columns[index] = column.toSorted((a, b) => (keys.get(a) ?? 0) - (keys.get(b) ?? 0));
    if (crossings(ends, at) > before) columns[index] = column;
  }
}

const MOST_COUNTED = 300;

/** How many wires between neighbouring columns cross, an input below another one counted as lower. */
function crossings(ends: readonly { source: string; target: string; input: number; gap: number }[], at: (id: string) => number): number {
  const lines = ends.map((end) => ({ ...end, from: at(end.source), to: at(end.target) + end.input / 100 }));
  let count = 0;
  for (const [index, a] of lines.entries()) {
    for (const b of lines.slice(index + 1)) if (a.gap === b.gap && (a.from - b.from) * (a.to - b.to) < 0) count += 1;
  }
  return count;
}

function heightOf(shapes: ReadonlyMap<string, Shape>, id: string): number {
  return shapes.get(id)?.height ?? 0;
}

function leftsOf(columns: readonly string[][], columnOf: ReadonlyMap<string, number>, shapes: ReadonlyMap<string, Shape>, wires: Wires): number[] {
  const tracks = columns.map(() => new Set<string>());
  for (const [source, target] of wires) if (columnOf.has(target)) tracks[Math.max(0, (columnOf.get(target) ?? 0) - 1)]?.add(source);
  let x = 0;
  return columns.map((ids, index) => {
    const left = x;
    const width = Math.max(...ids.map((id) => shapes.get(id)?.width ?? 0));
    x += width + COLUMN + Math.min(MOST_TRACKS, Math.max(0, (tracks[index]?.size ?? 0) - 2)) * GRID;
    return left;
  });
}

/** Upper edges, in sweeps from left to right and back: each card goes to the middle of its neighbours, without overtaking. */
function topsOf(columns: readonly string[][], columnOf: ReadonlyMap<string, number>, shapes: ReadonlyMap<string, Shape>, wires: Wires): Map<string, number> {
  const near = new Map<string, [string, number][]>([...columnOf.keys()].map((id) => [id, []]));
  for (const [source, target] of wires) {
    const steps = Math.abs((columnOf.get(target) ?? 0) - (columnOf.get(source) ?? 0));
    if (steps > NEAR || !near.has(source) || !near.has(target)) continue;
    near.get(source)?.push([target, 1 / Math.max(1, steps)]);
    near.get(target)?.push([source, 1 / Math.max(1, steps)]);
  }
  const tops = new Map<string, number>();
  for (const ids of columns) {
    let y = 0;
    for (const id of ids) {
      tops.set(id, y);
      y += heightOf(shapes, id) + ROW;
    }
  }
  for (let sweep = 0; sweep < SWEEPS; sweep += 1) {
    for (const ids of sweep % 2 === 0 ? columns : columns.toReversed()) {
      const wanted = ids.map((id): [number, number] => {
        const pulls = near.get(id) ?? [];
        const weight = pulls.reduce((sum, [, one]) => sum + one, 0);
        if (weight === 0) return [tops.get(id) ?? 0, 0.01];
        return [pulls.reduce((sum, [other, one]) => sum + one * (tops.get(other) ?? 0), 0) / weight, weight];
      });
      for (const [index, y] of inOrder(ids.map((id) => heightOf(shapes, id) + ROW), wanted).entries()) tops.set(ids[index] as string, y);
    }
  }
  return tops;
}

/** Places as near as possible to the wanted ones, each below the one before (blocks that touch move as one). */
function inOrder(lengths: readonly number[], wanted: readonly (readonly [number, number])[]): number[] {
  const blocks: { at: number; weight: number; count: number }[] = [];
  let offset = 0;
  const offsets: number[] = [];
  for (const [index, [y, weight]] of wanted.entries()) {
    offsets.push(offset);
    let block = { at: y - offset, weight, count: 1 };
    for (let last = blocks.at(-1); last && last.at > block.at; last = blocks.at(-1)) {
      const together = last.weight + block.weight;
      block = { at: (last.at * last.weight + block.at * block.weight) / together, weight: together, count: last.count + block.count };
      blocks.pop();
    }
    blocks.push(block);
    offset += lengths[index] ?? 0;
  }
  return blocks.flatMap((block) => Array.from({ length: block.count }, () => block.at)).map((at, index) => at + (offsets[index] ?? 0));
}

/** The nearest place on the grid. */
export function snap(value: number): number {
  return Math.round(value / GRID) * GRID + 0;
}
