import type { Tab } from "../state/types";
import { useWorkspace } from "../state/workspace";
import { Icon } from "./parts";

/** The way into a definition; nothing at the root. */
export function Breadcrumb({ tab }: { readonly tab: Tab }) {
  const leave = useWorkspace((state) => state.leave);
  if (tab.trail.length === 0) return null;
  const last = tab.trail.at(-1);
  return (
    <nav className="breadcrumb" aria-label="Way into the definition">
      <button type="button" className="crumb" onClick={() => leave(0)}>{tab.title}</button>
      {tab.trail.map((step, at) => (
        <span className="row" key={`${at} ${step.use}`}>
          <Icon name="right" small />
          <button type="button" className="crumb" aria-current={step === last ? "location" : undefined} onClick={() => { if (step !== last) leave(at + 1); }}>{step.use}</button>
        </span>
      ))}
      {last !== undefined && last.definition !== last.use && <span className="faint small">{last.definition}</span>}
      <span className="push row small quiet breadcrumb__key"><kbd>Alt ↑</kbd>leave</span>
    </nav>
  );
}
