/** What calls a menu up; what it offers comes later (menuActs.ts). */
import { addReroute } from "../document/edits";
import { useWorkspace } from "../state/workspace";
import { act } from "./acts";
import { useCanvas, type MenuState } from "./canvasStore";
import { parted } from "./ids";
import { targetOfThread } from "./nodeActs";
import { useScene } from "./sceneStore";

/** Opens the menu of what an element belongs to; a node that is not chosen becomes the only one. */
export function openMenuAt(target: EventTarget | null, x: number, y: number): void {
  const element = target instanceof Element ? target : null;
  const { flow } = useScene.getState();
  const graph = flow?.screenToFlowPosition({ x, y }, { snapToGrid: true }) ?? { x: 0, y: 0 };
  const thread = element?.closest<HTMLElement>(".react-flow__edge")?.dataset["id"] ?? null;
  const node = element?.closest<HTMLElement>(".react-flow__node")?.dataset["id"] ?? null;
  const on: MenuState["on"] = thread !== null ? "wire" : node === null ? "canvas" : kindOn(node);
  const { tabs, current, select } = useWorkspace.getState();
  if (node !== null && tabs.find((tab) => tab.id === current)?.selected.has(node) !== true) select([node], parted(node).kind === "node" ? node : null);
  useCanvas.getState().set({ menu: { screen: { x, y }, graph, on, id: thread ?? node } });
}

function kindOn(id: string): MenuState["on"] {
  const { kind } = parted(id);
  return kind === "group" || kind === "note" || kind === "reroute" ? kind : "node";
}

/** A bend in a thread, where it was double-clicked. */
export function bendAt(thread: string, at: { x: number; y: number }): boolean {
  const end = targetOfThread(thread);
  const target = end.index === undefined ? `${end.node}.${end.input}` : `${end.node}.${end.input}.${end.index}`;
  return act(({ document, place }) => addReroute(document, place, { target, x: at.x, y: at.y }));
}
