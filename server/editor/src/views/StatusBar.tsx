/** The status bar: connection, device and cache; the keys that work now; how much there is. */
import { type ReactNode, useEffect, useState } from "react";
import { commandOf, keysOf } from "../keys/commands";
import { placeOfElement } from "../keys/dispatch";
import { shownPress } from "../keys/press";
import { useCatalogue } from "../state/catalogue";
import { useConnection } from "../state/connection";
import { useNotices } from "../state/notices";
import { NO_PLAN, usePlan } from "../state/plans";
import { usePreferences } from "../state/preferences";
import { bytes, counted } from "../state/words";
import { placeOf, nodesAt, useWorkspace } from "../state/workspace";

/** Which keys are worth a place, by where the focus is. */
const HINTS: Readonly<Record<string, readonly (readonly [string, string])[]>> = {
  canvas: [
    ["canvas.add", "add"],
    ["canvas.link", "link"],
    ["canvas.edit", "edit"],
    ["canvas.mute", "mute"],
    ["canvas.bypass", "bypass"],
    ["canvas.frame", "frame"],
    ["help.keys", "all keys"],
  ],
  app: [
    ["run.run", "run"],
    ["run.seedBefore", "seed before"],
  ],
  "": [
    ["run.run", "run"],
    ["help.commands", "any command"],
    ["region.next", "next region"],
  ],
};

function useScope(): string {
  const [scope, setScope] = useState("");
  useEffect(() => {
    const look = () => setScope(placeOfElement(document.activeElement).scopes.find((name) => Object.hasOwn(HINTS, name)) ?? "");
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
        {(HINTS[scope] ?? []).map(([id, words]) => {
          const command = commandOf(id);
          const key = command && keysOf(command)[0];
          if (key === undefined) return null;
          return (
            <span key={id} className="row">
              <kbd>{shownPress(key)}</kbd>
              {words}
            </span>
          );
        })}
      </span>
      <span className="cut status__line" title={line.text} aria-hidden="true">
        {line.text}
      </span>
      {tab && (
        <span>
          {counted(nodes, "node")}
          {plan.counts.of > 0 && `, ${plan.counts.of} in the run`}
        </span>
      )}
      {tab?.view === "graph" && <span className="faint status__with" title="The graph is drawn with React Flow">React Flow</span>}
      {end}
    </footer>
  );
}
