/** Edits of what the editor remembers: places of cards, groups, notes, bends. None of it reaches the nodes. */
import { Draft } from "./draft";
import { cardUi, graphOf, groups, isLink, notes, reroutes, targetOf, uiPath, valueAt } from "./graph";
import { entriesOf, has, isObject, own } from "./objects";
import { erase, freshKey, put, write } from "./parts";
import type { Attempt, Document, GroupUi, JsonObject, Made, NoteUi, Place, RerouteUi } from "./types";

export interface Point {
  readonly x: number;
  readonly y: number;
}

export interface Size {
  readonly width: number;
  readonly height: number;
}

/** What moves, by id: nodes, or groups, notes and bends by `#groups/id` and so on. */
export type Positions = ReadonlyMap<string, Point> | { readonly [id: string]: Point };

export type Side = "left" | "right" | "top" | "bottom" | "centre" | "middle" | "columns" | "rows";

function pairs(positions: Positions): [string, Point][] {
  return positions instanceof Map ? [...positions] : entriesOf(positions as { readonly [id: string]: Point });
}

/** Moves cards, and groups, notes and bends named `#groups/id`, `#notes/id`, `#reroutes/id`. */
export function move(document: Document, place: Place, positions: Positions): Attempt {
  const draft = new Draft(document);
  const moved = pairs(positions).filter(([id]) => movable(document, place, id));
  for (const [id, point] of moved) moveIn(draft, place, id, point);
  return draft.edit(moved.length === 1 ? `move ${moved[0]?.[0].replace(/^#\w+\//, "")}` : `move ${moved.length} cards`);
}

function movable(document: Document, place: Place, id: string): boolean {
  if (!id.startsWith("#")) return has(graphOf(document, place).nodes, id) || EDGES.has(id);
  const [kind = "", key = ""] = id.split("/");
  const ui = own(graphOf(document, place).ui, kind);
  return isObject(ui) && has(ui, key);
}

/** The cards at the edges of a definition, which stand for what it is given and what it gives. */
export const EDGES: ReadonlySet<string> = new Set(["#inputs", "#outputs"]);

function moveIn(draft: Draft, place: Place, id: string, point: Point): void {
  const path = [...uiPath(place), ...(id.startsWith("#") && !EDGES.has(id) ? id.split("/") : [id])];
  for (const axis of ["x", "y"] as const) {
    const value = Math.round(point[axis]);
    if (draft.get([...path, axis]) !== value) write(draft, [...path, axis], value);
  }
}

/** Changes what is remembered of a card; undefined takes a key away. */
function changeCard(draft: Draft, place: Place, id: string, changes: { readonly [key: string]: unknown }): void {
  for (const [key, value] of Object.entries(changes)) put(draft, [...uiPath(place), id, key], value);
}

/** Gives a card a width, in steps of 4; null for that of its type. */
export function resizeCard(document: Document, place: Place, id: string, width: number | null): Attempt {
  const draft = new Draft(document);
  const value = width === null ? undefined : Math.max(100, Math.round(width / 4) * 4);
  if (value !== cardUi(document, place, id).width) changeCard(draft, place, id, { width: value });
  return draft.edit(`resize ${id}`);
}

/** Shows cards by their head alone, or whole. */
export function collapse(document: Document, place: Place, ids: Iterable<string>, on: boolean): Attempt {
  const draft = new Draft(document);
  const all = [...ids];
  for (const id of all) {
    if ((cardUi(document, place, id).collapsed ?? false) !== on) changeCard(draft, place, id, { collapsed: on ? true : undefined });
  }
  const what = all.length === 1 ? String(all[0]) : `${all.length} cards`;
  return draft.edit(on ? `collapse ${what}` : `open ${what}`);
}

/** Shows an input on its card, or not: beyond or instead of those that are pinned at first. */
export function pin(document: Document, place: Place, id: string, input: string, on: boolean): Attempt {
  const draft = new Draft(document);
  const card = cardUi(document, place, id);
  const without = (list: readonly string[] = []): string[] => list.filter((name) => name !== input);
  const pinned = on ? [...without(card.pinned), input] : without(card.pinned);
  const unpinned = on ? without(card.unpinned) : [...without(card.unpinned), input];
  const kept = (list: string[]): string[] | undefined => (list.length > 0 ? list : undefined);
  changeCard(draft, place, id, { pinned: kept(pinned), unpinned: kept(unpinned) });
  return draft.edit(on ? `pin ${id}.${input}` : `unpin ${id}.${input}`);
}

/** Draws the thread of a link as a tag, or as a wire. `input` is the name, or `name.0` for an item. */
export function tag(document: Document, place: Place, id: string, input: string, on: boolean): Attempt {
  const draft = new Draft(document);
  const others = (cardUi(document, place, id).tags ?? []).filter((name) => name !== input);
  const tags = on ? [...others, input] : others;
  changeCard(draft, place, id, { tags: tags.length > 0 ? tags : undefined });
  return draft.edit(on ? `tag ${id}.${input}` : `show the wire of ${id}.${input}`);
}

/** Aligns cards to a side, in their centre or middle, or spreads them evenly in columns (across) or rows (down). */
export function align(
  document: Document,
  place: Place,
  ids: Iterable<string>,
  side: Side,
  sizes: ReadonlyMap<string, Size & Point>,
): Attempt {
  const boxes = [...ids].flatMap((id) => {
    const box = sizes.get(id);
    return box ? [{ id, ...box }] : [];
  });
  if (boxes.length < 2) return { refused: "Choose two cards or more." };
  const places = aligned(boxes, side);
  const attempt = move(document, place, places);
  return "refused" in attempt ? attempt : { ...attempt, label: `align ${boxes.length} cards` };
}

type Box = Size & Point & { readonly id: string };

function aligned(boxes: readonly Box[], side: Side): Map<string, Point> {
  const left = Math.min(...boxes.map((box) => box.x));
  const right = Math.max(...boxes.map((box) => box.x + box.width));
  const top = Math.min(...boxes.map((box) => box.y));
  const bottom = Math.max(...boxes.map((box) => box.y + box.height));
  if (side === "columns") return spread(boxes, "x", "width", left, right);
  if (side === "rows") return spread(boxes, "y", "height", top, bottom);
  return new Map(
    boxes.map((box) => {
      const x = side === "left" ? left : side === "right" ? right - box.width : side === "centre" ? (left + right - box.width) / 2 : box.x;
      const y = side === "top" ? top : side === "bottom" ? bottom - box.height : side === "middle" ? (top + bottom - box.height) / 2 : box.y;
      return [box.id, { x, y }];
    }),
  );
}

function spread(boxes: readonly Box[], axis: "x" | "y", length: "width" | "height", from: number, to: number): Map<string, Point> {
  const order = boxes.toSorted((a, b) => a[axis] - b[axis]);
  const gap = (to - from - order.reduce((sum, box) => sum + box[length], 0)) / (order.length - 1);
  const found = new Map<string, Point>();
  let at = from;
  for (const box of order) {
    found.set(box.id, { x: box.x, y: box.y, [axis]: at });
    at += box[length] + gap;
  }
  return found;
}

// -- groups, notes, bends

function add(document: Document, place: Place, kind: "#groups" | "#notes" | "#reroutes", stem: string, value: object, label: string): Made {
  const draft = new Draft(document);
  const id = freshKey(own(graphOf(document, place).ui, kind), stem);
  write(draft, [...uiPath(place), kind, id], value);
  return { ...draft.edit(label), id };
}

function edit(document: Document, place: Place, kind: "#groups" | "#notes" | "#reroutes", id: string, changes: object, label: string): Attempt {
  const path = [...uiPath(place), kind, id];
  const draft = new Draft(document);
  if (!isObject(draft.get(path))) return { refused: "It is not there any more." };
  for (const [key, value] of Object.entries(changes)) put(draft, [...path, key], rounded(value));
  return draft.edit(label);
}

function remove(document: Document, place: Place, kind: "#groups" | "#notes" | "#reroutes", id: string, label: string): Attempt {
  const path = [...uiPath(place), kind, id];
  const draft = new Draft(document);
  if (draft.get(path) === undefined) return { refused: "It is not there any more." };
  erase(draft, path);
  return draft.edit(label);
}

function rounded(value: unknown): unknown {
  return typeof value === "number" ? Math.round(value) : value;
}

function roundedAll(value: object): JsonObject {
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, rounded(item)])) as JsonObject;
}

/** A frame with a name around nodes. */
export function addGroup(document: Document, place: Place, group: GroupUi): Made {
  return add(document, place, "#groups", "group", roundedAll(group), `group ${group.name || "nodes"}`);
}

/** Changes a group's name, box, colour or members. */
export function editGroup(document: Document, place: Place, id: string, changes: Partial<GroupUi>): Attempt {
  return edit(document, place, "#groups", id, changes, `change group ${groups(document, place).get(id)?.name ?? ""}`.trim());
}

/** Takes the frame away; the nodes stay. */
export function removeGroup(document: Document, place: Place, id: string): Attempt {
  return remove(document, place, "#groups", id, `ungroup ${groups(document, place).get(id)?.name ?? ""}`.trim());
}

/** A text on the canvas. */
export function addNote(document: Document, place: Place, note: NoteUi): Made {
  return add(document, place, "#notes", "note", roundedAll(note), "add a note");
}

/** Changes a note's text or box. */
export function editNote(document: Document, place: Place, id: string, changes: Partial<NoteUi>): Attempt {
  return edit(document, place, "#notes", id, changes, "change a note");
}

export function removeNote(document: Document, place: Place, id: string): Attempt {
  if (!notes(document, place).has(id)) return { refused: "It is not there any more." };
  return remove(document, place, "#notes", id, "delete a note");
}

/** A bend in the wire that ends at `target` (`node.input` or `node.input.0`). */
export function addReroute(document: Document, place: Place, bend: RerouteUi): Made {
  if (!isLink(valueAt(document, place, targetOf(bend.target)))) return { refused: `${bend.target} is not linked.` };
  return add(document, place, "#reroutes", "bend", roundedAll(bend), `bend the wire to ${bend.target}`);
}

export function moveReroute(document: Document, place: Place, id: string, point: Point): Attempt {
  return edit(document, place, "#reroutes", id, { x: point.x, y: point.y }, "move a bend");
}

export function removeReroute(document: Document, place: Place, id: string): Attempt {
  if (!reroutes(document, place).has(id)) return { refused: "It is not there any more." };
  return remove(document, place, "#reroutes", id, "straighten the wire");
}
