/** Acts on nodes: add, move, copy, leave out, group. Each is one step of undo. */
import {
  addGroup, addNode, addNote, align, collapse, connect, editGroup, editNote, insertOnWire, move, moveReroute, removeGroup, removeNodes,
  removeNote, removeReroute, setMode, takeOut, type Side,
} from "../document/edits";
import { cardUi, groups, modeOf, notes, order, reroutes } from "../document/graph";
import { own } from "../document/objects";
import { isRefusal, type Attempt, type Document, type Mode } from "../document/types";
import { tidy } from "../layout/tidy";
import { say } from "../state/notices";
import { useWorkspace } from "../state/workspace";
import { act, here, together, type Here } from "./acts";
import type { End } from "./canvasStore";
import { canvasId, inputOfHandle, INPUTS_CARD, ofKind, parted } from "./ids";
import { around } from "./neighbours";
import { focusCard, middle, useScene } from "./sceneStore";
import type { Points } from "./useDrags";

interface Point {
  readonly x: number;
  readonly y: number;
}

/** The chosen nodes, or the one in focus. */
export function targets(): string[] {
  const now = here();
  if (now === null) return [];
  const chosen = ofKind(now.tab.selected, "node").filter((id) => own(now.nodes, id) !== undefined);
  if (chosen.length > 0) return chosen;
  const { focus } = now.tab;
  return focus !== null && own(now.nodes, focus) !== undefined ? [focus] : [];
}

/** Chooses nodes and puts the keys on the first. */
export function chooseAndFocus(ids: readonly string[]): void {
  const first = ids[0];
  useWorkspace.getState().select(ids, first ?? null);
  if (first !== undefined) requestAnimationFrame(() => focusCard(first));
}

/** Adds a node, linked from an end or into a wire, as one act; with `stay` the keys stay where they are. Gives its id. */
export function addAt(type: string, at: Point, link: { readonly from: End; readonly port: string | null } | null, wire: string | null, stay = false): string | null {
  let added: string | null = null;
  const done = act((now) => {
    const { document, place, catalogue } = now;
    const shift = link?.from.side === "in" ? -240 : 0;
    const node = addNode(document, place, type, { x: at.x + shift, y: at.y });
    if (isRefusal(node)) return node;
    const id = node.id;
    added = id;
    const steps: ((document: Document) => Attempt)[] = [() => node];
    if (link !== null && link.port !== null) {
      const { from, port } = link;
      const source = from.side === "out" ? { node: from.node === INPUTS_CARD ? "inputs" : from.node, output: from.port } : { node: id, output: port };
      const target = from.side === "out" ? { node: id, input: port } : { node: from.node, input: from.port, ...(from.index === null ? {} : { index: from.index }) };
      steps.push((next) => connect(next, place, source, target, catalogue));
    }
    if (wire !== null) steps.push((next) => insertOnWire(next, place, targetOfThread(wire), id, catalogue));
    return together(node.label, document, steps);
  });
  if (!done || added === null) return null;
  if (stay) useWorkspace.getState().select([added], added);
  else chooseAndFocus([added]);
  return added;
}

/** Where a thread ends, from its id. */
export function targetOfThread(thread: string): { node: string; input: string; index?: number } {
  const dot = thread.indexOf(".");
  const { input, index } = inputOfHandle(thread.slice(dot + 1));
  return index === null ? { node: thread.slice(0, dot), input } : { node: thread.slice(0, dot), input, index };
}

/** Where dragged things were dropped, with the groups that took nodes in or lost them. */
export function dropMoved(now: Here, points: Points): Attempt {
  const { document, place } = now;
  const steps: ((document: Document) => Attempt)[] = [(next) => move(next, place, points)];
  const dropped = [...points.keys()].filter((id) => parted(id).kind === "node");
  const carried = [...points.keys()].some((id) => parted(id).kind === "group");
  if (!carried && dropped.length > 0) {
    const { boxes } = useScene.getState();
    for (const [id, group] of groups(document, place)) {
      const inside = (node: string): boolean => {
        const at = points.get(node), box = boxes.get(node);
        if (at === undefined || box === undefined) return false;
        const x = at.x + box.width / 2, y = at.y + box.height / 2;
        return x > group.x && x < group.x + group.width && y > group.y && y < group.y + group.height;
      };
      const kept = group.nodes.filter((node) => !points.has(node) || inside(node));
      const joined = dropped.filter((node) => !group.nodes.includes(node) && inside(node));
      if (joined.length > 0 || kept.length < group.nodes.length) steps.push((next) => editGroup(next, place, id, { nodes: [...kept, ...joined] }));
    }
  }
  return together(dropped.length === 1 ? `move ${dropped[0] ?? ""}` : `move ${points.size} things`, document, steps);
}

/** A dragged card goes into the wire it was dropped on. */
export function insertInto(wire: string, node: string, points: Points): void {
  act((now) => together(`insert ${node}`, now.document, [
    (next) => move(next, now.place, points),
    (next) => insertOnWire(next, now.place, targetOfThread(wire), node, now.catalogue),
  ]));
}

/** A node leaves its wires, which close behind it. */
export function takeOutOf(node: string): boolean {
  return act(({ document, place, catalogue }) => takeOut(document, place, node, catalogue));
}

/** Deletes what is chosen; with `keepWires` what went in goes on to what came after. */
export function removeChosen(keepWires: boolean): boolean {
  const now = here();
  if (now === null) return false;
  const ids = targets();
  const { order: run } = useScene.getState();
  const after = run.slice(run.indexOf(ids.at(-1) ?? "") + 1).find((id) => !ids.includes(id)) ?? run.findLast((id) => !ids.includes(id)) ?? null;
  const { document, place, catalogue } = now;
  const chosen = [...now.tab.selected];
  const steps: ((document: Document) => Attempt)[] = [];
  for (const id of ofKind(chosen, "group")) if (groups(document, place).has(id)) steps.push((next) => removeGroup(next, place, id));
  for (const id of ofKind(chosen, "note")) if (notes(document, place).has(id)) steps.push((next) => removeNote(next, place, id));
  for (const id of ofKind(chosen, "reroute")) if (reroutes(document, place).has(id)) steps.push((next) => removeReroute(next, place, id));
  const others = steps.length > 0 && ofKind(chosen, "node").length === 0;
  if (ids.length > 0 && !others) steps.push((next) => removeNodes(next, place, ids, keepWires ? { keepWires: catalogue } : {}));
  if (steps.length === 0) return false;
  const label = ids.length === 0 || others ? "delete" : ids.length === 1 ? `delete ${ids[0] ?? ""}` : `delete ${ids.length} nodes`;
  if (!act(() => together(label, document, steps))) return false;
  useWorkspace.getState().select([], after);
  if (after !== null) requestAnimationFrame(() => focusCard(after));
  return true;
}

/** Mutes or bypasses the chosen; when all are already, takes it back. */
export function toggleMode(mode: Mode, ids: readonly string[] = targets()): boolean {
  return act(({ document, place, nodes }) => {
    if (ids.length === 0) return null;
    const all = ids.every((id) => modeOf(own(nodes, id)) === mode);
    return setMode(document, place, ids, all ? null : mode);
  });
}

export function toggleCollapse(): boolean {
  return act(({ document, place }) => {
    const ids = targets();
    if (ids.length === 0) return null;
    return collapse(document, place, ids, !ids.every((id) => cardUi(document, place, id).collapsed === true));
  });
}

/** A frame around the chosen; on a chosen group: takes it away. */
export function groupChosen(): boolean {
  const now = here();
  if (now === null) return false;
  const chosen = ofKind(now.tab.selected, "group").filter((id) => groups(now.document, now.place).has(id));
  if (chosen.length > 0) return act(({ document, place }) => together("ungroup", document, chosen.map((id) => (next) => removeGroup(next, place, id))));
  const ids = targets();
  const { boxes } = useScene.getState();
  const box = around(ids.flatMap((id) => boxes.get(id) ?? []));
  if (box === null) return false;
  let made: string | null = null;
  const done = act(({ document, place }) => {
    const group = addGroup(document, place, { name: "Group", x: box.x - 14, y: box.y - 34, width: box.width + 28, height: box.height + 48, nodes: ids });
    if (!isRefusal(group)) made = group.id;
    return group;
  });
  if (done && made !== null) useWorkspace.getState().select([canvasId("group", made)]);
  return done;
}

const NOTE = { width: 160, height: 80 };

/** The first place from a point downwards where a note covers no card and lies under none. */
function freeFrom(point: Point): Point {
  const boxes = [...useScene.getState().boxes.values()].toSorted((a, b) => a.y - b.y);
  let { y } = point;
  for (const box of boxes) {
    const beside = box.x + box.width <= point.x || box.x >= point.x + NOTE.width;
    if (!beside && box.y < y + NOTE.height && box.y + box.height > y) y = box.y + box.height + 16;
  }
  return { x: point.x, y };
}

/** An empty note, open for its text. */
export function noteAt(at: Point = freeFrom(middle())): boolean {
  return act(({ document, place }) => addNote(document, place, { text: "", x: at.x, y: at.y, width: NOTE.width }));
}

export function changeNote(id: string, changes: { text?: string; width?: number }): void {
  act(({ document, place }) => (changes.text === "" ? removeNote(document, place, id) : editNote(document, place, id, changes)));
}

/** Renames a group; a sentence when it cannot be. */
export function nameGroup(id: string, name: string): string | null {
  act(({ document, place }) => editGroup(document, place, id, { name: name.trim() }));
  return null;
}

export function sizeGroup(id: string, box: { x: number; y: number; width: number; height: number }): void {
  act(({ document, place }) => editGroup(document, place, id, { x: box.x, y: box.y, width: box.width, height: box.height }));
}

/** Lays out the chosen (two or more), or all. */
export async function tidyChosen(): Promise<void> {
  const now = here();
  if (now === null) return;
  const ids = ofKind(now.tab.selected, "node");
  const places = await tidy(now.document, now.place, now.catalogue, ids.length > 1 ? ids : undefined).catch(() => null);
  if (places === null) {
    say("The layout is not here yet, and the server does not answer.");
    return;
  }
  act(({ document, place, tab }) => {
    // While the layout was made, the reader may have gone on.
    if (document !== now.document || tab.id !== now.tab.id) return null;
    const attempt = move(document, place, places);
    return isRefusal(attempt) ? attempt : { ...attempt, label: "tidy" };
  });
}

export function alignChosen(side: Side): boolean {
  return act(({ document, place }) => align(document, place, targets(), side, useScene.getState().boxes));
}

/** Moves the chosen by so many pixels; a held key is one act. */
export function nudge(dx: number, dy: number): boolean {
  const { boxes } = useScene.getState();
  const points = new Map(targets().flatMap((id) => {
    const box = boxes.get(id);
    return box === undefined ? [] : [[id, { x: box.x + dx, y: box.y + dy }] as const];
  }));
  return points.size > 0 && act(({ document, place }) => move(document, place, points), `nudge ${[...points.keys()].join(" ")}`);
}

/** A bend, or a note or group, goes elsewhere by keys. */
export function bendTo(id: string, at: Point): void {
  act(({ document, place }) => moveReroute(document, place, id, at));
}

/** All nodes in the order of the run. */
export function runOrder(): string[] {
  const now = here();
  return now === null ? [] : order(now.nodes);
}
