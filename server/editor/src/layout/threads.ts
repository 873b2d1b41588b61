/**
 * Where threads run (DESIGN.md, 5): right, along a track in a gap between cards, right again. Threads of one output share a
 * track, others have one of their own, 8 apart, ordered so that they do not cross. Backward ones go through the gutter below
 * their source.
 */
import { type Spot, roundedPath } from "./paths";

export interface Box {
  readonly x: number;
  readonly y: number;
  readonly width: number;
  readonly height: number;
}

/** A thread to lay: `output` names where it starts (`node.output`), threads with the same one share their tracks. */
export interface ThreadEnds {
  readonly id: string;
  readonly output: string;
  readonly from: Spot;
  readonly to: Spot;
  /** The card that it starts at, for the gutter below it. */
  readonly sourceBox?: Box;
  /** Bends that somebody put there, in order. */
  readonly bends?: readonly Spot[];
}

export interface Thread {
  readonly path: string;
  readonly corners: readonly Spot[];
  /** Where a label or a menu stands: on the middle of its longest part. */
  readonly middle: Spot;
}

const TRACK = 8;
const STUB = 10;
const AHEAD = 20;
const GUTTER = 14;

interface Lane {
  readonly from: number;
  readonly to: number;
  readonly users: Map<string, { down: boolean; targets: number[]; sources: number[] }>;
}

interface Piece {
  readonly thread: ThreadEnds;
  readonly from: Spot;
  readonly to: Spot;
}

/** The way of each thread among the cards. */
export function threads(ends: readonly ThreadEnds[], boxes: readonly Box[]): Map<string, Thread> {
  const room = new Rooms(boxes);
  const lanes = new Map<string, Lane>();
  const chosen = new Map<Piece, string>();
  const pieces = ends.map((thread) => piecesOf(thread));
  for (const piece of pieces.flat()) {
    if (isBackward(piece) || piece.from.y === piece.to.y) continue;
    const [from, to] = room.gapFor(piece.from, piece.to);
    const key = `${from}:${to}`;
    const lane = lanes.get(key) ?? { from, to, users: new Map() };
    lanes.set(key, lane);
    const user = lane.users.get(piece.thread.output) ?? { down: piece.to.y > piece.from.y, targets: [], sources: [] };
    user.targets.push(piece.to.y);
    user.sources.push(piece.from.y);
    lane.users.set(piece.thread.output, user);
    chosen.set(piece, key);
  }
  const tracks = new Map([...lanes].map(([key, lane]) => [key, tracksOf(lane)]));
  const gutters = new Map<string, number>();
  const found = new Map<string, Thread>();
  for (const [index, thread] of ends.entries()) {
    const corners: Spot[] = [];
    for (const piece of pieces[index] ?? []) {
      const at = tracks.get(chosen.get(piece) ?? "")?.get(thread.output);
      corners.push(...(isBackward(piece) ? backward(piece, gutters) : forward(piece, at)));
    }
    found.set(thread.id, { path: roundedPath(corners), corners, middle: middleOf(corners) });
  }
  return found;
}

function piecesOf(thread: ThreadEnds): Piece[] {
  const spots = [thread.from, ...(thread.bends ?? []), thread.to];
  return spots.slice(1).map((to, index) => ({ thread, from: spots[index] as Spot, to }));
}

function isBackward({ from, to }: Piece): boolean {
  return to.x < from.x + AHEAD;
}

function forward({ from, to }: Piece, track: number | undefined): Spot[] {
  const x = track ?? (from.x + to.x) / 2;
  return from.y === to.y ? [from, to] : [from, { x, y: from.y }, { x, y: to.y }, to];
}

/** Out to the right, down into the gutter below the source, back to the left of the target, and in. */
function backward({ thread, from, to }: Piece, gutters: Map<string, number>): Spot[] {
  const box = thread.sourceBox;
  const used = gutters.get(thread.output) ?? gutters.size % 4;
  gutters.set(thread.output, used);
  const bottom = box && from.x >= box.x ? box.y + box.height : Math.max(from.y, to.y);
  const right = from.x + STUB + used * TRACK;
  const left = to.x - STUB - TRACK - used * TRACK;
  const gutter = bottom + GUTTER + used * TRACK;
  return [from, { x: right, y: from.y }, { x: right, y: gutter }, { x: left, y: gutter }, { x: left, y: to.y }, to];
}

/** Where each output's track is in a gap: 8 apart, closer where there is no room, in the middle of the gap. */
function tracksOf(lane: Lane): Map<string, number> {
  const mean = (list: readonly number[]): number => list.reduce((sum, value) => sum + value, 0) / list.length;
  const users = [...lane.users].map(([output, user]) => ({ output, down: mean(user.targets) > mean(user.sources), y: mean(user.targets), at: mean(user.sources) }));
  // Of those that go down the highest target is the rightmost, of those that go up the leftmost: so none cuts another.
  const down = users.filter((user) => user.down).sort((a, b) => b.y - a.y || b.at - a.at);
  const up = users.filter((user) => !user.down).sort((a, b) => a.y - b.y || a.at - b.at);
  const order = [...down, ...up];
  const width = lane.to - lane.from;
  const step = Math.min(TRACK, Math.max(2, (width - 2 * STUB) / Math.max(1, order.length - 1)));
  const first = (lane.from + lane.to) / 2 - (step * (order.length - 1)) / 2;
  return new Map(order.map((user, index) => [user.output, Math.round((first + index * step) * 10) / 10]));
}

function middleOf(corners: readonly Spot[]): Spot {
  let best = -1;
  let middle: Spot = corners[0] ?? { x: 0, y: 0 };
  for (let index = 1; index < corners.length; index += 1) {
    const a = corners[index - 1] as Spot;
    const b = corners[index] as Spot;
    const length = Math.abs(a.x - b.x) + Math.abs(a.y - b.y);
    if (length > best) {
      best = length;
      middle = { x: (a.x + b.x) / 2, y: (a.y + b.y) / 2 };
    }
  }
  return middle;
}

/** The gaps between cards, found fast: cards are kept in bands of their height. */
class Rooms {
  private readonly bands = new Map<number, Box[]>();
  private readonly edges: { readonly lefts: readonly number[]; readonly rights: readonly number[] };

  constructor(boxes: readonly Box[]) {
    for (const box of boxes) {
      for (let band = bandOf(box.y); band <= bandOf(box.y + box.height); band += 1) {
        const list = this.bands.get(band);
        if (list) list.push(box);
        else this.bands.set(band, [box]);
      }
    }
    this.edges = {
      lefts: [...new Set(boxes.map((box) => box.x))].sort((a, b) => a - b),
      rights: [...new Set(boxes.map((box) => box.x + box.width))].sort((a, b) => a - b),
    };
  }

  /** The gap in which a thread goes up or down: at its target, or at its source where less is in the way then. */
  gapFor(from: Spot, to: Spot): readonly [number, number] {
    const atTarget: readonly [number, number] = [Math.max(from.x, this.lastRight(to.x)), to.x];
    const atSource: readonly [number, number] = [from.x, Math.min(to.x, this.firstLeft(from.x))];
    if (atTarget[0] <= from.x || atSource[1] - atSource[0] < AHEAD) return wide(atTarget, from, to);
    const cost = ([left, right]: readonly [number, number]): number => {
      const x = (left + right) / 2;
      return this.crossed(from.x, x, from.y) + this.crossed(x, to.x, to.y);
    };
    return cost(atSource) < cost(atTarget) ? atSource : wide(atTarget, from, to);
  }

  private lastRight(x: number): number {
    const at = below(this.edges.rights, x);
    return this.edges.rights[at - 1] ?? Number.NEGATIVE_INFINITY;
  }

  private firstLeft(x: number): number {
    return this.edges.lefts[below(this.edges.lefts, x)] ?? Number.POSITIVE_INFINITY;
  }

  /** How many cards a level line crosses. */
  private crossed(from: number, to: number, y: number): number {
    let count = 0;
    for (const box of this.bands.get(bandOf(y)) ?? []) {
      if (box.y < y && y < box.y + box.height && box.x < to - 1 && box.x + box.width > from + 1) count += 1;
    }
    return count;
  }
}

function wide(gap: readonly [number, number], from: Spot, to: Spot): readonly [number, number] {
  return gap[1] - gap[0] >= AHEAD ? gap : [from.x, to.x];
}

function bandOf(y: number): number {
  return Math.floor(y / 200);
}

/** How many of the sorted numbers are below `x`. */
function below(sorted: readonly number[], x: number): number {
  let low = 0;
  let high = sorted.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((sorted[middle] as number) < x) low = middle + 1;
    else high = middle;
  }
  return low;
}
