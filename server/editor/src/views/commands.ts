/** The commands of the frame: files, tabs, panels, runs, help. */
import { documentText } from "../document/text";
import type { Command } from "../keys/commands";
import { panelsOf } from "../keys/panels";
import { laterActs } from "../marks/later";
import { cancel, run, runTo } from "../state/actions";
import { setLive } from "../state/live";
import { openEmpty } from "../state/opening";
import { say } from "../state/notices";
import { togglePanel, togglePanels, usePreferences } from "../state/preferences";
import { drawSeed, seedBefore } from "../state/seeds";
import { tabOf, useWorkspace } from "../state/workspace";
import { closeTab, reopenTab } from "./closing";
import { helpOfFocus } from "./helping";
import { focusRegion, nextRegion } from "./regions";
import { openSweep, openSweepGrid, sweepLabel } from "./sweeps";
import { toggleTheme } from "./theme";

const here = () => tabOf() !== undefined;
const ANY = "anywhere" as const;
const dialogs = laterActs(() => import("./dialogs"));

function stepTab(by: number): void {
  const { tabs, current, choose } = useWorkspace.getState();
  const at = tabs.findIndex((tab) => tab.id === current);
  const next = tabs[(at + by + tabs.length) % tabs.length];
  if (next) choose(next.id);
}

/** Saves the workflow as a file of this computer. */
export function download(): void {
  const tab = tabOf();
  if (!tab) return;
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([documentText(tab.history.document)], { type: "application/json" }));
  link.download = `${tab.title.replace(/[^\p{L}\p{N} ._-]/gu, "_") || "workflow"}.json`;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 1000);
}

const files: readonly Command[] = [
  { id: "file.new", label: "New workflow", group: "Files", keys: ["Alt+N"], where: ANY, icon: "plus", run: () => void openEmpty() },
  { id: "file.open", label: "Open", group: "Files", keys: ["Ctrl+O"], where: ANY, icon: "folder", inFields: true, run: () => dialogs(({ openOpen }) => openOpen()) },
  { id: "file.openHere", label: "Open from this computer", group: "Files", keys: [], where: ANY, icon: "file", run: () => dialogs(({ chooseFiles }) => chooseFiles()) },
  { id: "file.save", label: "Save", group: "Files", keys: ["Ctrl+S"], where: ANY, icon: "disk", inFields: true, when: here, run: () => dialogs(({ saveTab }) => void saveTab()) },
  { id: "file.saveAs", label: "Save as", group: "Files", keys: ["Ctrl+Shift+S"], where: ANY, inFields: true, when: here, run: () => dialogs(({ openSaveAs }) => openSaveAs()) },
  { id: "file.download", label: "Save to this computer", group: "Files", keys: [], where: ANY, when: here, run: download },
  { id: "file.versions", label: "Earlier versions", group: "Files", keys: [], where: ANY, icon: "clock", when: () => Boolean(tabOf()?.name), run: () => dialogs(({ openVersions }) => openVersions()) },
  {
    id: "file.copy",
    label: "Copy the workflow as JSON",
    group: "Files",
    keys: [],
    where: ANY,
    icon: "copy",
    when: here,
    run: () => dialogs(({ copyText }) => void copyText(documentText((tabOf() as NonNullable<ReturnType<typeof tabOf>>).history.document), "The workflow")),
  },
  { id: "file.python", label: "Copy the workflow as Python", group: "Files", keys: [], where: ANY, icon: "copy", when: here, run: () => dialogs(({ copyAsPython }) => void copyAsPython()) },
  {
    id: "file.share",
    label: "Copy a link to the app view",
    group: "Files",
    keys: [],
    where: ANY,
    icon: "goto",
    when: () => Boolean(tabOf()?.name),
    run: () => dialogs(({ copyText }) => void copyText(new URL(`/app/${encodeURIComponent(tabOf()?.name ?? "")}`, location.href).href, "The link")),
  },
  { id: "view.text", label: "The workflow as JSON or Python", group: "Files", keys: [], where: ANY, icon: "note", words: "text code", when: here, run: () => dialogs(({ openTextView }) => openTextView()) },
  { id: "tab.close", label: "Close this tab", group: "Files", keys: [], where: ANY, icon: "close", when: here, run: () => closeTab() },
  { id: "tab.reopen", label: "Open the closed tab again", group: "Files", keys: [], where: ANY, icon: "undo", run: () => void (reopenTab() || say("No tab was closed.")) },
  { id: "tab.next", label: "Next tab", group: "Files", keys: ["Alt+PageDown"], where: ANY, inFields: true, run: () => stepTab(1) },
  { id: "tab.before", label: "Tab before", group: "Files", keys: ["Alt+PageUp"], where: ANY, inFields: true, run: () => stepTab(-1) },
];

const edits: readonly Command[] = [
  { id: "edit.undo", label: "Undo", group: "Change", keys: ["Ctrl+Z"], where: ANY, icon: "undo", when: () => tabOf()?.history.canUndo === true, run: () => useWorkspace.getState().undo() },
  { id: "edit.redo", label: "Do again", group: "Change", keys: ["Ctrl+Shift+Z", "Ctrl+Y"], where: ANY, icon: "redo", words: "redo", when: () => tabOf()?.history.canRedo === true, run: () => useWorkspace.getState().redo() },
];

const runs: readonly Command[] = [
  { id: "run.run", label: "Run", group: "Run", keys: ["Ctrl+Enter"], where: ANY, icon: "play", inFields: true, when: here, run: () => void run() },
  { id: "run.first", label: "Run first", group: "Run", keys: ["Ctrl+Shift+Enter"], where: ANY, icon: "forward", inFields: true, when: here, run: () => void run(undefined, { first: true }) },
  { id: "run.here", label: "Run to what is chosen", group: "Run", keys: ["R"], where: ["canvas", "outline"], icon: "goto", when: () => (tabOf()?.selected.size ?? 0) > 0, run: () => void runTo([...(tabOf()?.selected ?? [])]) },
  {
    id: "run.sweep",
    get label() {
      return sweepLabel();
    },
    group: "Run",
    keys: [],
    where: ANY,
    icon: "examples",
    words: "sweep grid seeds values several",
    when: here,
    run: openSweep,
  },
  { id: "run.sweepGrid", label: "Sweeps as a grid", group: "Run", keys: [], where: ANY, icon: "examples", run: openSweepGrid },
  { id: "run.cancel", label: "Cancel", group: "Run", keys: ["Ctrl+."], where: ANY, icon: "stop", inFields: true, when: here, run: () => void cancel() },
  { id: "run.live", label: "Live: run after each edit", group: "Run", keys: ["V"], where: "canvas", icon: "live", when: here, run: () => setLive(undefined, !tabOf()?.live) },
  { id: "run.seed", label: "Draw a seed", group: "Run", keys: ["S"], where: ["canvas", "app"], icon: "dice", when: here, run: () => void drawSeed() },
  { id: "run.seedBefore", label: "The seed before", group: "Run", keys: ["Shift+S"], where: ["canvas", "app"], icon: "undo", when: here, run: () => void (seedBefore() || say("No other seed was used yet.")) },
];

const help: readonly Command[] = [
  { id: "help.commands", label: "Any command", group: "Help", keys: ["Ctrl+K"], where: ANY, icon: "search", inFields: true, unlisted: true, run: () => dialogs(({ openCommandList }) => openCommandList()) },
  { id: "help.here", label: "Help of the chosen node", group: "Help", keys: ["F1"], where: ANY, icon: "help", inFields: true, run: () => void (helpOfFocus() || dialogs(({ openKeySheet }) => openKeySheet())) },
  { id: "help.keys", label: "Keys", group: "Help", keys: ["?"], where: ANY, icon: "key", run: () => dialogs(({ openKeySheet }) => openKeySheet()) },
  { id: "view.preferences", label: "Settings of this browser", group: "Help", keys: ["Ctrl+,"], where: ANY, icon: "settings", run: () => dialogs(({ openPreferences }) => openPreferences()) },
  { id: "view.theme", label: "Light or dark", group: "Help", keys: [], where: ANY, icon: "sun", run: toggleTheme },
  { id: "region.next", label: "Next region", group: "Move", keys: ["F6"], where: ANY, inFields: true, unlisted: true, run: () => nextRegion(1) },
  { id: "region.before", label: "Region before", group: "Move", keys: ["Shift+F6"], where: ANY, inFields: true, unlisted: true, run: () => nextRegion(-1) },
  { id: "view.hide", label: "Hide all panels, or show them", group: "Panels", keys: ["Shift+Z"], where: "canvas", run: togglePanels },
  { id: "view.app", label: "Graph or app", group: "Panels", keys: ["Shift+G"], where: ["canvas", "app"], when: here, run: () => useWorkspace.getState().setView(tabOf()?.view === "app" ? "graph" : "app") },
];

/** A command for each panel: its key opens it and goes there, and closes it when it is open. */
export function panelCommands(): Command[] {
  return (["left", "right", "bottom"] as const).flatMap((side) =>
    panelsOf(side).map((panel) => ({
      id: `panel.${panel.id}`,
      label: panel.title,
      group: "Panels",
      keys: [panel.key],
      where: "canvas" as const,
      icon: panel.icon,
      when: here,
      run: () => {
        togglePanel(side, panel.id);
        if (usePreferences.getState().open[side] === panel.id) focusRegion(panel.title);
      },
    })),
  );
}

export const commands: readonly Command[] = [...files, ...edits, ...runs, ...help];
