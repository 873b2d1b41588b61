/** The status bar: connection, device and cache; the keys that work now; how much there is. */
import { type ReactNode, useEffect, useState } from "react";
import { commandOf, keysOf, runCommand } from "../keys/commands";
import { placeOfElement } from "../keys/dispatch";
import { shownPress } from "../keys/press";
import { Icon } from "../marks";
import type { Document } from "../document/types";
import { useCatalogue } from "../state/catalogue";
import { useConnection } from "../state/connection";
import { useNotices } from "../state/notices";
import { NO_PLAN, usePlan } from "../state/plans";
import { usePreferences } from "../state/preferences";
import { bytes, counted } from "../state/words";
import { placeOf, nodesAt, useWorkspace } from "../state/workspace";

/** Keys that belong to a part itself, and to no command. */
const keyed = (...keys: string[]) => `keys ${keys.join(" ")}`;

/** Which keys are worth a place, by where the focus is. */
export const HINTS: Readonly<Record<string, readonly (readonly [string, string])[]>> = {
  canvas: [
    ["canvas.add", "add"],
    ["canvas.link", "link"],
    ["canvas.edit", "edit"],
    ["canvas.mute", "mute"],
    ["canvas.bypass", "bypass"],
    ["canvas.frame", "frame"],
    ["help.keys", "all keys"],
  ],
  outline: [
    ["canvas.link", "link"],
    ["canvas.rename", "rename"],
    ["canvas.mute", "mute"],
    ["canvas.bypass", "bypass"],
    ["run.here", "run to here"],
    ["help.keys", "all keys"],
  ],
  result: [
    ["run.run", "run"],
    ["run.seedBefore", "seed before"],
    [keyed("ArrowLeft", "ArrowRight"), "other pictures"],
    [keyed("="), "compare"],
  ],
  none: [
    ["help.commands", "any command"],
    ["help.keys", "keys"],
  ],
  app: [
    ["run.run", "run"],
    ["run.seedBefore", "seed before"],
    ["region.next", "next region"],
  ],
  field: [
    [keyed("ArrowUp", "ArrowDown"), "step, ⇧ ×10"],
    [keyed("Enter"), "take"],
    [keyed("Escape"), "back"],
    [keyed("Ctrl+Backspace"), "default"],
    [keyed("Ctrl+L"), "link"],
    ["help.here", "help"],
  ],
  list: [
    [keyed("ArrowUp", "ArrowDown"), "choose"],
    [keyed("Enter"), "take"],
    [keyed("Escape"), "close"],
  ],
  "": [
    ["run.run", "run"],
    ["help.commands", "any command"],
    ["region.next", "next region"],
  ],
};

/** The keys of a hint: a command's first one, or those that it names. */
function keysOfHint(id: string): readonly string[] {
  if (id.startsWith("keys ")) return id.split(" ").slice(1);
  const command = commandOf(id);
  return command ? keysOf(command).slice(0, 1) : [];
}

/** "5 parameters of 12 nodes". */
function parameterWords({ parameters, nodes }: Document): string {
  const count = Object.keys(parameters ?? {}).length;
  return `${count === 0 ? "no parameters" : counted(count, "parameter")} of ${counted(Object.keys(nodes).length, "node")}`;
}

/** What the focus is in, as far as it makes a difference for keys. */
function scopeOf(element: Element | null): string {
  if (element?.closest("[role=menu], [role=listbox]") || element?.getAttribute("role") === "combobox") return "list";
  const { scopes, typing } = placeOfElement(element);
  if (typing && element?.closest("[data-input]")) return "field";
  return scopes.find((name) => Object.hasOwn(HINTS, name)) ?? "";
}

function useScope(): string {
  const [scope, setScope] = useState("");
  useEffect(() => {
    const look = () => setScope(scopeOf(document.activeElement));
    look();
    window.addEventListener("focusin", look);
    window.addEventListener("focusout", look);
    return () => {
      window.removeEventListener("focusin", look);
      window.removeEventListener("focusout", look);
    };
  }, []);
  return scope;
}

export function StatusBar({ end }: { readonly end?: ReactNode }) {
  const state = useConnection((connection) => connection.state);
  const system = useCatalogue((served) => served.system);
  const tab = useWorkspace((workspace) => workspace.tabs.find((one) => one.id === workspace.current));
  const plan = usePlan((plans) => (tab && plans.ofTab.get(tab.id)) ?? NO_PLAN);
  const line = useNotices((notices) => notices.line);
  usePreferences((preferences) => preferences.keys);
  const scope = useScope();
  const device = system?.devices[0];
  const types = useCatalogue((served) => served.catalogue?.all.length ?? 0);
  const nodes = tab ? Object.keys(nodesAt(tab.history.document, placeOf(tab))).length : 0;
  return (
    <footer className="status" aria-label="Status" data-region="status">
      <span className="row">
        <span className={`lamp${state === "connected" ? "" : " lamp--lost"}`} />
        {state === "connected" ? "Connected" : state === "connecting" ? "Connecting" : "Not connected"}
      </span>
      {device && <span>{device.name}</span>}
      {system && (
        <span>
          Cache {bytes(system.cache.bytes)}
          {system.cache.max_bytes ? ` of ${bytes(system.cache.max_bytes)}` : ""}
        </span>
      )}
      <span className="status__keys">
        {(HINTS[tab ? scope : "none"] ?? []).map(([id, words]) => {
          const keys = keysOfHint(id);
          if (keys.length === 0) return null;
          return (
            <span key={id} className="row">
              {keys.map((key) => (
                <kbd key={key}>{shownPress(key)}</kbd>
              ))}
              {words}
            </span>
          );
        })}
      </span>
      <span className="cut status__line" title={line.text} aria-hidden="true">
        {line.text}
      </span>
      {!tab && types > 0 && <span>{counted(types, "node type")}</span>}
      {tab?.view === "app" && <span>{parameterWords(tab.history.document)}</span>}
      {tab?.view === "graph" && (
        <span>
          {counted(nodes, "node")}
          {plan.counts.of > 0 && `, ${plan.counts.of} in the run`}
        </span>
      )}
      {tab?.view === "graph" && <span className="faint status__with" title="The graph is drawn with React Flow">React Flow</span>}
      {end}
      {tab && tab.view === "graph" && <Zoom zoom={tab.viewports.get(placeOf(tab) ?? "")?.zoom ?? 1} />}
    </footer>
  );
}

/** How large the graph is drawn; a click shows all of it. */
function Zoom({ zoom }: { readonly zoom: number }) {
  return (
    <button type="button" className="status__zoom" aria-label={`Zoom ${Math.round(zoom * 100)} %. Show all`} title="Show all (Shift+F)" onClick={() => runCommand("canvas.frame-all")}>
      <Icon name="fit" small />
      {Math.round(zoom * 100)} %
    </button>
  );
}
