/** The inspector: one node, the inputs that several share, or the workflow itself. */
import { useMemo } from "react";
import { graphOf } from "../document/graph";
import { has } from "../document/objects";
import { placeOf, runId, useWorkspace } from "../state/workspace";
import { InspectDefinition } from "./InspectDefinition";
import { InspectNode } from "./InspectNode";
import { InspectSeveral } from "./InspectSeveral";
import { InspectWorkflow } from "./InspectWorkflow";
import { Result } from "./Result";
import "../styles/side.css";

/** Escape in a field: what the field does with it comes first; then the keys go back to the card, unless they are somewhere else. */
function backToCard(node: string | null): void {
  const before = window.document.activeElement;
  const floating = window.document.querySelector("[role=dialog]") !== null;
  if (node === null || floating) return;
  setTimeout(() => {
    const now = window.document.activeElement;
    if (now !== before && now !== window.document.body) return;
    window.document.querySelector<HTMLElement>(`[data-card="${CSS.escape(node)}"]`)?.focus({ preventScroll: true });
  }, 50);
}

export function Inspector() {
  const tab = useWorkspace((state) => state.tabs.find((one) => one.id === state.current));
  const document = tab?.history.document;
  const place = tab ? placeOf(tab) : null;
  const ids = useMemo(() => {
    if (!document || !tab) return [];
    const { nodes } = graphOf(document, place);
    return [...tab.selected].filter((id) => has(nodes, id));
  }, [document, place, tab]);
  if (!tab || !document) {
    return (
      <div className="outline__empty">
        <p className="medium">No node chosen</p>
        <p className="quiet small">The workflow’s own parameters stand here.</p>
      </div>
    );
  }
  const [first] = ids;
  return (
    <div className="inspector" data-region="inspector" onKeyDownCapture={(event) => event.key === "Escape" && backToCard(tab.focus)}>
      <div className="inspector__body">
      {ids.length > 1 ? (
        <InspectSeveral document={document} place={place} ids={ids} />
      ) : first !== undefined ? (
        <InspectNode key={`${tab.id}/${place ?? ""}/${first}`} tab={tab} document={document} place={place} id={first} />
      ) : place !== null ? (
        <InspectDefinition document={document} name={place} />
      ) : (
        <InspectWorkflow key={tab.id} tab={tab} document={document} />
      )}
      </div>
      <Result key={`${tab.id} result`} tab={tab} node={ids.length === 1 && first !== undefined ? runId(tab, first) : null} />
    </div>
  );
}
