/** Where cards stand when nobody put them: columns from left to right, pieces that are not connected in rows. */
import { EDGES, type Point } from "../document/edit-cards";
import { INPUTS, cardUi, graphOf, linkParts, links } from "../document/graph";
import { entriesOf } from "../document/objects";
import type { Document, Place } from "../document/types";
import type { Catalogue } from "../catalogue/catalogue";
import { type Shape, columned, snap } from "./columns";
import { fastLayers } from "./fast";
import { layered } from "./layered";
import { edgeSize, mayShowPicture, sizeOf } from "./sizes";

const PIECE = 64;
const WIDE = 1400;
/** From so many cards on, layers are found in a moment and not as well as they can be. */
const LARGE = 400;

/**
 * Places for the nodes of a graph, or for those of `ids` alone, which stay where they are as a whole. Fixed for the same
 * document. In a definition the cards of what it is given and gives (`#inputs`, `#outputs`) are placed as well.
 */
export function placed(
  document: Document,
  place: Place,
  catalogue: Catalogue,
  ids?: Iterable<string>,
): Map<string, Point> {
  const shapes = shapesOf(document, place, catalogue, ids ? new Set(ids) : null);
  const wires = wiresOf(document, place, shapes);
  const near = wiresByPiece(wires);
  const pieces = piecesOf([...shapes.keys()], wires).map((piece) => {
    const own = near(piece);
    return columned(shapes.size > LARGE ? fastLayers(piece, own) : layered(piece, shapes, own), shapes, own);
  });
  const found = packed(pieces, shapes);
  return ids ? moved(found, cornerOf(document, place, shapes.keys())) : found;
}

/** The wires of a piece, found without going through all wires once for each piece. */
function wiresByPiece(wires: readonly (readonly [string, string])[]): (piece: readonly string[]) => (readonly [string, string])[] {
  const bySource = new Map<string, (readonly [string, string])[]>();
  const rank = new Map(wires.map((wire, at) => [wire, at]));
  for (const wire of wires) {
    const list = bySource.get(wire[0]);
    if (list) list.push(wire);
    else bySource.set(wire[0], [wire]);
  }
  return (piece) => {
    const own = piece.flatMap((id) => bySource.get(id) ?? []);
    // In the order of all wires, which is that of the inputs they go to.
    return own.sort((a, b) => (rank.get(a) ?? 0) - (rank.get(b) ?? 0));
  };
}

function shapesOf(document: Document, place: Place, catalogue: Catalogue, only: ReadonlySet<string> | null): Map<string, Shape> {
  const shapes = new Map<string, Shape>();
  for (const [id, spec] of entriesOf(graphOf(document, place).nodes)) {
    if (only && !only.has(id)) continue;
    const picture = mayShowPicture(catalogue.typeOf(document, spec));
    const size = sizeOf(document, place, id, cardUi(document, place, id), catalogue, { picture });
    if (size) shapes.set(id, size);
  }
  if (place !== null && !only) for (const edge of EDGES) shapes.set(edge, edgeSize(document, place, edge as "#inputs" | "#outputs"));
  return shapes;
}

/** Pairs of source and target among the shapes, each once, those of a target in the order of its inputs. */
function wiresOf(document: Document, place: Place, shapes: ReadonlyMap<string, Shape>): (readonly [string, string])[] {
  const { nodes, definition } = graphOf(document, place);
  const found = new Map<string, readonly [string, string]>();
  const add = (source: string, target: string): void => {
    const from = source === INPUTS && place !== null ? "#inputs" : source;
    if (from !== target && shapes.has(from) && shapes.has(target)) found.set(`${from} ${target}`, [from, target]);
  };
  for (const wire of links(nodes)) add(wire.source, wire.target);
  for (const [, output] of entriesOf(definition?.outputs)) add(linkParts(output.link).node, "#outputs");
  return [...found.values()];
}

/** Nodes that are connected with each other, the largest piece first, else in their order. */
function piecesOf(ids: readonly string[], wires: readonly (readonly [string, string])[]): string[][] {
  const near = new Map<string, string[]>(ids.map((id) => [id, []]));
  for (const [a, b] of wires) {
    near.get(a)?.push(b);
    near.get(b)?.push(a);
  }
  const seen = new Set<string>();
  const rank = new Map(ids.map((id, at) => [id, at]));
  const pieces: string[][] = [];
  for (const start of ids) {
    if (seen.has(start)) continue;
    const piece: string[] = [];
    const stack = [start];
    seen.add(start);
    for (let id = stack.pop(); id !== undefined; id = stack.pop()) {
      piece.push(id);
      for (const other of near.get(id) ?? []) {
        if (seen.has(other)) continue;
        seen.add(other);
        stack.push(other);
      }
    }
    pieces.push(piece.sort((a, b) => (rank.get(a) ?? 0) - (rank.get(b) ?? 0)));
  }
  return pieces.sort((a, b) => b.length - a.length);
}

/** Pieces in rows, as wide as the widest or as a screen. */
function packed(pieces: readonly ReadonlyMap<string, Point>[], shapes: ReadonlyMap<string, Shape>): Map<string, Point> {
  const boxes = pieces.map((piece) => boundsOf(piece, shapes));
  const most = Math.max(WIDE, ...boxes.map((box) => box.width));
  const found = new Map<string, Point>();
  let x = 0;
  let y = 0;
  let high = 0;
  for (const [index, piece] of pieces.entries()) {
    const box = boxes[index];
    if (!box) continue;
    if (x > 0 && x + box.width > most) {
      x = 0;
      y += high + PIECE;
      high = 0;
    }
    for (const [id, point] of piece) found.set(id, { x: snap(point.x - box.x + x), y: snap(point.y - box.y + y) });
    x += box.width + PIECE;
    high = Math.max(high, box.height);
  }
  return found;
}

function boundsOf(piece: ReadonlyMap<string, Point>, shapes: ReadonlyMap<string, Shape>): Shape & Point {
  let [left, top, right, bottom] = [Infinity, Infinity, -Infinity, -Infinity];
  for (const [id, { x, y }] of piece) {
    const { width = 0, height = 0 } = shapes.get(id) ?? {};
    left = Math.min(left, x);
    top = Math.min(top, y);
    right = Math.max(right, x + width);
    bottom = Math.max(bottom, y + height);
  }
  return { x: left, y: top, width: right - left, height: bottom - top };
}

function cornerOf(document: Document, place: Place, ids: Iterable<string>): Point {
  let x = Infinity;
  let y = Infinity;
  for (const id of ids) {
    const card = cardUi(document, place, id);
    x = Math.min(x, card.x ?? Infinity);
    y = Math.min(y, card.y ?? Infinity);
  }
  return { x: Number.isFinite(x) ? x : 0, y: Number.isFinite(y) ? y : 0 };
}

function moved(places: ReadonlyMap<string, Point>, by: Point): Map<string, Point> {
  return new Map([...places].map(([id, { x, y }]) => [id, { x: x + by.x, y: y + by.y }]));
}
