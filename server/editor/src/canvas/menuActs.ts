/** Menus of what is under the pointer, or in focus. */
import { own } from "../document/objects";
import { isDefinition } from "../document/graph";
import { runTo } from "../state/actions";
import { useWorkspace } from "../state/workspace";
import { here } from "./acts";
import { useCanvas, type MenuState } from "./canvasStore";
import { copySelection, cutSelection, pasteFromClipboard } from "./clipboardEvents";
import { duplicate } from "./clipboardActs";
import { defineChosen, unpackChosen } from "./defineActs";
import { bendAt } from "./openMenu";
import { parted } from "./ids";
import { linkNode } from "./linkActs";
import { groupChosen, noteAt, removeChosen, targetOfThread, tidyChosen, toggleCollapse, toggleMode } from "./nodeActs";
import { frame, useScene } from "./sceneStore";
import { removeWire, toggleTag, toggleTags } from "./wireActs";

export interface MenuItem {
  readonly label: string;
  readonly icon: string;
  readonly key?: string;
  readonly run: () => void;
  /** Stands under a line. */
  readonly apart?: boolean;
}

/** What a menu offers. */
export function itemsOf(menu: MenuState): MenuItem[] {
  const { set } = useCanvas.getState();
  const palette = (wire: string | null): void => set({ palette: { screen: menu.screen, graph: menu.graph, from: null, wire } });
  if (menu.on === "wire" && menu.id !== null) {
    const thread = menu.id;
    const { node, input, index = null } = targetOfThread(thread);
    return [
      { label: "Insert a node…", icon: "plus", run: () => palette(thread) },
      { label: "Bend here", icon: "drag", run: () => void bendAt(thread, menu.graph) },
      { label: "Wire or tag", icon: "goto", key: "W", run: () => void toggleTag({ node, input, index }) },
      { label: "Remove the wire", icon: "close", apart: true, run: () => void removeWire({ node, input, index }) },
    ];
  }
  if (menu.on === "canvas") {
    return [
      { label: "Add a node…", icon: "plus", key: "A", run: () => palette(null) },
      { label: "Note", icon: "note", key: "N", run: () => void noteAt(menu.graph) },
      { label: "Paste", icon: "copy", key: "Ctrl V", run: () => void pasteFromClipboard(false, menu.graph) },
      { label: "Tidy", icon: "fit", key: "Q", apart: true, run: () => void tidyChosen() },
      { label: "Frame all", icon: "fit", key: "Shift F", run: () => frame() },
    ];
  }
  if (menu.on === "note" || menu.on === "reroute") return [{ label: menu.on === "note" ? "Delete the note" : "Straighten the wire", icon: "close", key: "Del", run: () => void removeChosen(false) }];
  if (menu.on === "group") {
    return [
      { label: "Rename", icon: "note", key: "F2", run: () => set({ renaming: menu.id }) },
      { label: "Mute all", icon: "mute", run: () => void toggleMode("mute", members(menu.id)) },
      { label: "Bypass all", icon: "bypass", run: () => void toggleMode("bypass", members(menu.id)) },
      { label: "Choose what is in it", icon: "tree", run: () => useWorkspace.getState().select(members(menu.id)) },
      { label: "Ungroup", icon: "close", key: "G", apart: true, run: () => void groupChosen() },
    ];
  }
  return nodeItems(menu);
}

function members(group: string | null): string[] {
  const id = group === null ? "" : parted(group).id;
  return [...useScene.getState().members].filter(([, of]) => of === id).map(([node]) => node);
}

function nodeItems(menu: MenuState): MenuItem[] {
  const now = here();
  const id = menu.id ?? "";
  const spec = now === null ? undefined : own(now.nodes, id);
  const use = now !== null && spec !== undefined && isDefinition(now.document, spec.type);
  const chosen = now === null ? [] : [...now.tab.selected].filter((one) => parted(one).kind === "node");
  const items: MenuItem[] = [
    { label: "Run to here", icon: "play", key: "R", run: () => void runTo(now?.place === null ? chosen : [], now?.tab.id) },
    { label: "Link…", icon: "goto", key: "L", run: () => void linkNode(id) },
    { label: "Copy", icon: "copy", key: "Ctrl C", run: () => void copySelection() },
    { label: "Cut", icon: "copy", key: "Ctrl X", run: () => void cutSelection() },
    { label: "Duplicate", icon: "copy", key: "Ctrl D", run: () => void duplicate() },
    { label: "Rename", icon: "note", key: "F2", run: () => useCanvas.getState().set({ renaming: id }) },
    { label: "Mute", icon: "mute", key: "M", apart: true, run: () => void toggleMode("mute") },
    { label: "Bypass", icon: "bypass", key: "B", run: () => void toggleMode("bypass") },
    { label: "Collapse", icon: "up", key: "C", run: () => void toggleCollapse() },
    { label: "Wires or tags", icon: "goto", key: "W", run: () => void toggleTags(chosen) },
    { label: "Group", icon: "fit", key: "G", apart: true, run: () => void groupChosen() },
    { label: "Make a definition", icon: "enter", key: "Ctrl G", run: () => void defineChosen() },
  ];
  if (use) {
    items.push({ label: "Enter", icon: "enter", key: "Alt ↓", run: () => useWorkspace.getState().enter(id) });
    items.push({ label: "Unpack", icon: "fit", key: "Ctrl Shift G", run: () => void unpackChosen(id) });
  }
  items.push({ label: "Delete", icon: "close", key: "Del", apart: true, run: () => void removeChosen(false) });
  items.push({ label: "Delete, keep the wire", icon: "close", key: "⌫", run: () => void removeChosen(true) });
  return items;
}
