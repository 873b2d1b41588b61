/** The phone view: parameters, result, queue, outline. Targets of 44 px, no zoom on focus. */
import { type KeyboardEvent, useState } from "react";
import { panelOf } from "../keys/panels";
import { Icon } from "../marks";
import { useConnection } from "../state/connection";
import { useWorkspace } from "../state/workspace";
import { FirstRun } from "./FirstRun";
import { MenuButton } from "./Menu";
import { ResultView, stepWords } from "./AppView";
import { Notices } from "./Notices";
import { ParameterForm } from "./Parameters";
import { usePictures } from "./results";
import { RunButton, useActive } from "./RunButton";
import { Brand, brandItems } from "./TopBar";
import { closeTab } from "./closing";
import { openEmpty } from "../state/opening";
import type { Tab } from "../state/types";
import { api } from "../service/api";
import "../styles/others.css";

const TABS = [
  ["parameters", "Parameters", "settings"],
  ["result", "Result", "image"],
  ["queue", "Queue", "queue"],
  ["outline", "Outline", "tree"],
] as const;

type PhoneTab = (typeof TABS)[number][0];

export function Phone() {
  const tab = useWorkspace((state) => state.tabs.find((one) => one.id === state.current));
  const tabs = useWorkspace((state) => state.tabs);
  const connected = useConnection((state) => state.state === "connected");
  const active = useActive(tab);
  const [shown, setShown] = useState<PhoneTab>("parameters");
  const Body = shown === "queue" ? panelOf("runs")?.component : shown === "outline" ? panelOf("outline")?.component : undefined;
  const step = (event: KeyboardEvent, id: PhoneTab) => {
    const by = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (by === undefined) return;
    event.preventDefault();
    const next = TABS[(TABS.findIndex(([one]) => one === id) + by + TABS.length) % TABS.length];
    if (!next) return;
    setShown(next[0]);
    document.getElementById(`phone-${next[0]}`)?.focus();
  };
  const others = () => [
    ...tabs.map((one) => ({ id: one.id, label: one.title, checked: one.id === tab?.id, run: () => useWorkspace.getState().choose(one.id) })),
    { id: "new", label: "Empty workflow", icon: "plus", separate: true, run: () => void openEmpty() },
    ...(tab ? [{ id: "close", label: `Close ${tab.title}`, icon: "close", run: () => closeTab(tab.id) }] : []),
    ...brandItems().map((item, index) => (index === 0 ? { ...item, separate: true } : item)),
  ];
  return (
    <div className="phone">
      <header className="phead">
        <Brand />
        <div className="phead__title">
          <h1 className="medium cut">{tab?.title ?? "Weft"}</h1>
          <span className="faint tiny row">
            <span className={`lamp${connected ? "" : " lamp--lost"}`} />
            <span className="cut">{!connected ? "Not connected" : active ? `Run ${active.number} · ${stepWords(active)}` : "Connected"}</span>
          </span>
        </div>
        <MenuButton className="button button--plain button--icon" label="More" right items={others}>
          <Icon name="dots" />
        </MenuButton>
      </header>
      <Notices />
      {!tab && <FirstRun />}
      {tab && (
        <>
          <main className="pmain">
            <div className="pbody" role="tabpanel" id="phone-panel" aria-labelledby={`phone-${shown}`} tabIndex={0}>
              {shown === "parameters" && <ParameterForm tab={tab} phone />}
              {shown === "result" && <ResultView tab={tab} inside />}
              {Body && <Body phone />}
            </div>
            {(shown === "parameters" || shown === "result") && <RunRow tab={tab} />}
          </main>
          <nav aria-label="Views">
            <div className="ptabs" role="tablist" aria-label="Views">
              {TABS.map(([id, label, icon]) => (
                <button key={id} id={`phone-${id}`} type="button" className="ptab" role="tab" aria-selected={shown === id} aria-controls="phone-panel" tabIndex={shown === id ? 0 : -1} onClick={() => setShown(id)} onKeyDown={(event) => step(event, id)}>
                  <Icon name={icon} />
                  {label}
                </button>
              ))}
            </div>
          </nav>
        </>
      )}
    </div>
  );
}

function RunRow({ tab }: { readonly tab: Tab }) {
  const [picture] = usePictures(tab);
  return (
    <div className="prun">
      {picture?.output.file && (
        <span className="picture prun__picture">
          <img src={api.fileUrl(picture.output.file, 256)} alt="the last picture" />
        </span>
      )}
      <RunButton tab={tab} large />
    </div>
  );
}
