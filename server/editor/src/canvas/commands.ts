/** Commands of the canvas, with their keys (DESIGN.md, 7). Keys are written "Ctrl+Shift+G"; Ctrl is Cmd on a Mac. */
import { dependencies, downstream, links, upstream } from "../document/graph";
import { own } from "../document/objects";
import type { Side } from "../document/edits";
import { showPanel } from "../state/preferences";
import { useWorkspace } from "../state/workspace";
import { here, tell } from "./acts";
import { useCanvas } from "./canvasStore";
import { focused, goTo } from "./goTo";
import { parted } from "./ids";
import { openMenuAt } from "./openMenu";
import { nearest, nearestTo, type Direction } from "./neighbours";
import { alignChosen, groupChosen, noteAt, nudge, removeChosen, targets, tidyChosen, toggleCollapse, toggleMode } from "./nodeActs";
import { pinInputs } from "./pinActs";
import { rare } from "./rare";
import { frame, middle, panBy, useScene, zoomBy } from "./sceneStore";
import { toggleTags } from "./wireActs";

export interface CanvasCommand {
  readonly id: string;
  readonly label: string;
  readonly group: string;
  readonly keys: readonly string[];
  readonly where: "canvas";
  readonly when?: () => boolean;
  readonly run: () => void;
}

/** Shift+A was pressed: the next arrow aligns. */
let aligning = false;

function arrow(direction: Direction): void {
  const sides: Record<Direction, Side> = { left: "left", right: "right", up: "top", down: "bottom" };
  if (aligning) {
    aligning = false;
    alignChosen(sides[direction]);
    return;
  }
  const { boxes } = useScene.getState();
  const from = focused();
  const centre = middle();
  goTo(from === null ? nearestTo(boxes, centre.x, centre.y) : nearest(boxes, from, direction));
}

/** Along a wire: to what the node takes from first, or to who takes from it first. */
function along(step: "up" | "down"): void {
  const now = here();
  const from = focused();
  if (now === null || from === null) return;
  const next = step === "up"
    ? (dependencies(now.nodes).get(from) ?? []).find((id) => own(now.nodes, id) !== undefined)
    : [...links(now.nodes)].find((link) => link.source === from)?.target;
  if (next === undefined) tell(step === "up" ? `${from} takes from nothing` : `nothing takes from ${from}`);
  else goTo(next);
}

function chooseStream(step: "up" | "down"): void {
  const now = here();
  const ids = targets();
  if (now === null || ids.length === 0) return;
  const found = step === "up" ? upstream(now.nodes, ids) : downstream(now.nodes, ids);
  useWorkspace.getState().select([...now.tab.selected, ...found]);
  tell(`${found.size} nodes chosen`);
}

function openPalette(): void {
  const { pane, boxes, flow } = useScene.getState();
  const id = focused();
  const box = id === null ? undefined : boxes.get(id);
  const rect = pane?.getBoundingClientRect();
  const graph = box === undefined ? middle() : { x: box.x + box.width + 40, y: box.y };
  const screen = flow?.flowToScreenPosition(graph) ?? { x: (rect?.left ?? 0) + 80, y: (rect?.top ?? 0) + 80 };
  useCanvas.getState().set({ palette: { screen, graph, from: null, wire: null } });
}

function menuOfFocus(): void {
  const element = document.activeElement?.closest("[data-card]") ?? document.activeElement;
  const box = element?.getBoundingClientRect();
  const whole = element?.matches(".canvas--flow") === true;
  openMenuAt(element, (box?.left ?? 0) + (whole ? 80 : 24), (box?.top ?? 0) + (whole ? 80 : 28));
}

function rename(): void {
  const now = here();
  const chosen = [...(now?.tab.selected ?? [])];
  const group = chosen.length === 1 ? chosen.find((id) => parted(id).kind === "group") : undefined;
  const id = group ?? targets()[0] ?? null;
  if (id !== null) useCanvas.getState().set({ renaming: id });
}

/** `Enter`: the keys go to the node's first field in the inspector; Escape there brings them back. */
function editFirst(): void {
  const id = focused() ?? targets()[0];
  if (id === undefined) return;
  useWorkspace.getState().select([id], id);
  showPanel("right", "inspector");
  requestAnimationFrame(() => {
    const inputs = document.querySelector(".inspect__inputs");
    inputs?.querySelector<HTMLElement>("input:not([type=file]):not([type=color]), textarea, select, button, [tabindex='0']")?.focus();
  });
}

function toggleChosen(): void {
  const now = here();
  const id = focused();
  if (now === null || id === null) return;
  const chosen = new Set(now.tab.selected);
  if (!chosen.delete(id)) chosen.add(id);
  useWorkspace.getState().select(chosen);
}

const command = (id: string, group: string, label: string, keys: string, run: () => unknown): CanvasCommand => ({
  id: `canvas.${id}`, group, label, keys: keys === "" ? [] : keys.split(" "), where: "canvas", run: () => void run(),
});

const arrows: [Direction, string, number, number][] = [["left", "ArrowLeft", -1, 0], ["right", "ArrowRight", 1, 0], ["up", "ArrowUp", 0, -1], ["down", "ArrowDown", 0, 1]];

/** All of them; main.tsx registers them. */
export const commands: readonly CanvasCommand[] = [
  ...arrows.flatMap(([way, key, dx, dy]) => [
    command(`go-${way}`, "Move", `Nearest node ${way === "up" ? "above" : way === "down" ? "below" : `to the ${way}`}`, key, () => arrow(way)),
    command(`pan-${way}`, "Move", `Pan ${way}`, `Ctrl+${key}`, () => panBy(-dx * 120, -dy * 120)),
    command(`nudge-${way}`, "Change", `Nudge ${way} by 8`, `Alt+Shift+${key}`, () => nudge(dx * 8, dy * 8)),
    command(`nudge-${way}-fine`, "Change", `Nudge ${way} by 1`, `Ctrl+Alt+Shift+${key}`, () => nudge(dx, dy)),
  ]),
  command("up-stream", "Move", "Along a wire, up the stream", "[", () => along("up")),
  command("down-stream", "Move", "Along a wire, down the stream", "]", () => along("down")),
  command("frame", "Move", "Frame the chosen", "F", () => (targets().length > 0 ? frame(targets()) : frame())),
  command("frame-all", "Move", "Frame all", "Shift+F", () => frame()),
  command("zoom-in", "Move", "Zoom in", "+", () => zoomBy(1.25)),
  command("zoom-out", "Move", "Zoom out", "-", () => zoomBy(0.8)),
  command("zoom-100", "Move", "Zoom to 100 %", "Shift+0", () => zoomBy(1 / (useScene.getState().flow?.getZoom() ?? 1))),
  command("choose", "Choose", "Choose this one as well", "Space", toggleChosen),
  command("choose-all", "Choose", "Choose all", "Ctrl+A", () => useWorkspace.getState().select(useScene.getState().order)),
  command("choose-up", "Choose", "Choose all upstream", "Shift+[ {", () => chooseStream("up")),
  command("choose-down", "Choose", "Choose all downstream", "Shift+] }", () => chooseStream("down")),
  command("choose-none", "Choose", "Choose none", "Escape", () => useWorkspace.getState().select([])),
  command("add", "Change", "Add a node", "A", openPalette),
  command("link", "Change", "Link", "L", () => rare(({ linkNode }) => void linkNode(focused() ?? targets()[0] ?? ""))),
  command("edit", "Change", "Edit its first field", "Enter", editFirst),
  command("rename", "Change", "Rename", "F2", rename),
  command("mute", "Change", "Mute", "M", () => toggleMode("mute")),
  command("bypass", "Change", "Bypass", "B", () => toggleMode("bypass")),
  command("collapse", "Change", "Collapse", "C", toggleCollapse),
  command("pin", "Change", "Pin inputs to the card", "P", () => pinInputs(focused() ?? targets()[0] ?? "")),
  command("tag", "Change", "Wires or tags", "W", () => toggleTags(targets())),
  command("delete", "Change", "Delete", "Delete", () => removeChosen(false)),
  command("delete-keep", "Change", "Delete, keep the wire", "Backspace", () => removeChosen(true)),
  command("duplicate", "Change", "Duplicate", "Ctrl+D", () => rare(({ duplicate }) => void duplicate())),
  command("paste-links", "Change", "Paste with links", "Ctrl+Shift+V", () => rare(({ pasteFromClipboard }) => void pasteFromClipboard(true))),
  command("group", "Change", "Group, or ungroup", "G", groupChosen),
  command("note", "Change", "Note", "N", () => noteAt()),
  command("tidy", "Change", "Tidy", "Q", tidyChosen),
  command("align", "Change", "Align: then an arrow", "Shift+A", () => { aligning = true; tell("align: press an arrow"); }),
  command("define", "Definitions", "Make a definition", "Ctrl+G", () => rare(({ defineChosen }) => void defineChosen())),
  command("unpack", "Definitions", "Unpack", "Ctrl+Shift+G", () => rare(({ unpackChosen }) => void unpackChosen())),
  command("enter", "Definitions", "Enter the definition", "Alt+ArrowDown", () => useWorkspace.getState().enter(focused() ?? targets()[0] ?? "")),
  command("leave", "Definitions", "Leave the definition", "Alt+ArrowUp", () => useWorkspace.getState().leave()),
  command("menu", "Help", "Menu of what is in focus", "Shift+F10 ContextMenu", menuOfFocus),
];
