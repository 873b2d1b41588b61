import type { ReactFlowInstance } from "@xyflow/react";
import { create } from "zustand";
import type { Place } from "../document/types";
import type { Block, BlockThread } from "./blocks";
import { around, type Box } from "./neighbours";

/** What of the shown graph others need: the minimap, commands, the outline's "show". */
export interface SceneState {
  readonly tab: string | null;
  readonly place: Place;
  /** What stands before a node's id in a run: `use/` inside a definition. */
  readonly prefix: string;
  readonly boxes: ReadonlyMap<string, Box>;
  readonly blocks: readonly Block[];
  readonly threads: readonly BlockThread[];
  readonly groups: readonly (Box & { readonly id: string; readonly name: string })[];
  /** The cards of a definition's inputs and outputs. */
  readonly edges: readonly Box[];
  /** The group of each node that is in one. */
  readonly members: ReadonlyMap<string, string>;
  readonly order: readonly string[];
  readonly flow: ReactFlowInstance | null;
  /** The pane, for its size on the screen. */
  readonly pane: HTMLElement | null;
}

export const useScene = create<SceneState>(() => ({
  tab: null,
  place: null,
  prefix: "",
  boxes: new Map(),
  blocks: [],
  threads: [],
  groups: [],
  edges: [],
  members: new Map(),
  order: [],
  flow: null,
  pane: null,
}));

/** Time that a view takes to move, 0 with reduced motion. */
function duration(): number {
  return window.matchMedia("(prefers-reduced-motion: reduce)").matches ? 0 : 140;
}

/** Shows these nodes, or all: as large as they fit, at most 100 %. */
export function frame(ids?: Iterable<string>): void {
  const { boxes, groups, edges, flow, pane } = useScene.getState();
  if (flow === null || pane === null) return;
  const chosen = ids === undefined ? [...boxes.values(), ...groups, ...edges] : [...ids].flatMap((id) => boxes.get(id) ?? []);
  const box = around(chosen);
  if (box === null) return;
  const { width, height } = pane.getBoundingClientRect();
  const zoom = Math.min(1, Math.max(0.05, Math.min((width - 48) / box.width, (height - 48) / box.height)));
  const x = width / 2 - (box.x + box.width / 2) * zoom;
  const y = height / 2 - (box.y + box.height / 2) * zoom;
  void flow.setViewport({ x, y, zoom }, { duration: duration() });
}

/** Moves the view just so far that a node is in it. */
export function reveal(id: string, margin = 24): void {
  const { boxes, flow, pane } = useScene.getState();
  const box = boxes.get(id);
  if (box === undefined || flow === null || pane === null) return;
  const { width, height } = pane.getBoundingClientRect();
  const { x, y, zoom } = flow.getViewport();
  const left = box.x * zoom + x, top = box.y * zoom + y;
  const shift = (start: number, length: number, room: number): number => {
    if (start < margin || length > room - 2 * margin) return margin - start;
    return Math.min(0, room - margin - (start + length));
  };
  const dx = shift(left, box.width * zoom, width), dy = shift(top, box.height * zoom, height);
  if (dx !== 0 || dy !== 0) void flow.setViewport({ x: x + dx, y: y + dy, zoom }, { duration: duration() });
}

/** Moves the view to a node and puts the keys there, once it is on the page. */
export function focusCard(id: string, tries = 20): void {
  reveal(id);
  const card = document.querySelector<HTMLElement>(`[data-card="${CSS.escape(id)}"]`);
  if (card !== null) card.focus({ preventScroll: true });
  else if (tries > 0) requestAnimationFrame(() => focusCard(id, tries - 1));
}

/** The middle of what is shown, in the graph. */
export function middle(): { x: number; y: number } {
  const { flow, pane } = useScene.getState();
  if (flow === null || pane === null) return { x: 0, y: 0 };
  const { left, top, width, height } = pane.getBoundingClientRect();
  return flow.screenToFlowPosition({ x: left + width / 2, y: top + height / 2 }, { snapToGrid: true });
}

/** Zooms about the middle, or pans by steps of 120 px. */
export function zoomBy(factor: number): void {
  const { flow } = useScene.getState();
  if (flow !== null) void flow.zoomTo(Math.max(0.05, Math.min(2, flow.getZoom() * factor)), { duration: duration() });
}

export function panBy(dx: number, dy: number): void {
  const { flow } = useScene.getState();
  if (flow === null) return;
  const { x, y, zoom } = flow.getViewport();
  void flow.setViewport({ x: x + dx, y: y + dy, zoom });
}
