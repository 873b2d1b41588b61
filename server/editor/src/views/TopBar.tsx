/** The top bar: open workflows, graph or app, seed, live, run. */
import { useRef } from "react";
import { runCommand } from "../keys/commands";
import { Icon } from "../marks";
import { openEmpty } from "../state/opening";
import { useWorkspace } from "../state/workspace";
import { MenuButton, type MenuItem, openMenu } from "./Menu";
import { RunButton } from "./RunButton";
import { LiveSwitch, SeedField } from "./SeedField";
import { closeTab } from "./closing";
import { commandItems } from "./items";

export function Brand() {
  return (
    <svg viewBox="0 0 20 20" fill="none" stroke="currentColor" strokeWidth="2" strokeLinecap="round" aria-hidden="true">
      <path d="M5 2.5v2.6M5 10.4v7.1M10 2.5v7.1M10 14.9v2.6M15 2.5v2.6M15 10.4v7.1" opacity=".55" />
      <path d="M2 7.75h16M2 12.25h5M13 12.25h5" />
    </svg>
  );
}

const BRAND = ["file.new", "file.open", "file.save", "file.saveAs", "file.versions", "file.share", "view.text", "view.phone", "help.commands", "help.keys", "view.preferences"];

export function brandItems(): MenuItem[] {
  return commandItems(BRAND);
}

export function TopBar() {
  const current = useWorkspace((state) => state.tabs.find((tab) => tab.id === state.current));
  return (
    <header className="topbar" aria-label="Workflow and run" data-region="top bar">
      <MenuButton className="brand" label="Weft menu" items={brandItems}>
        <Brand />
      </MenuButton>
      <h1 className="sr-only">Weft{current ? `, ${current.title}` : ""}</h1>
      <Tabs />
      <div className="topbar__right">
        {current && (
          <>
            <ViewSwitch view={current.view} />
            <span className="divider" />
            <SeedField tab={current} />
            <LiveSwitch tab={current} />
          </>
        )}
        <RunButton tab={current} />
      </div>
    </header>
  );
}

export function ViewSwitch({ view }: { readonly view: "graph" | "app" }) {
  const { setView } = useWorkspace.getState();
  const segment = (name: "graph" | "app", label: string) => (
    <button
      type="button"
      className="segment"
      role="radio"
      aria-checked={view === name}
      tabIndex={view === name ? 0 : -1}
      onClick={() => setView(name)}
      onKeyDown={(event) => {
        if (!/^Arrow/.test(event.key)) return;
        event.preventDefault();
        setView(view === "graph" ? "app" : "graph");
        const other = event.currentTarget.parentElement?.querySelector<HTMLElement>("[aria-checked=false]");
        other?.focus();
      }}
    >
      {label}
    </button>
  );
  return (
    <div className="segments" role="radiogroup" aria-label="View">
      {segment("graph", "Graph")}
      {segment("app", "App")}
    </div>
  );
}

function Tabs() {
  const tabs = useWorkspace((state) => state.tabs);
  const current = useWorkspace((state) => state.current);
  const dragged = useRef<string | null>(null);
  const { choose, moveTab } = useWorkspace.getState();
  const step = (by: number) => {
    const at = tabs.findIndex((tab) => tab.id === current);
    const next = tabs[(at + by + tabs.length) % tabs.length];
    if (!next) return;
    choose(next.id);
    requestAnimationFrame(() => document.getElementById(`tab-${next.id}`)?.focus());
  };
  return (
    <div className="tabs">
      <div className="tabs__list" role="tablist" aria-label="Open workflows">
        {tabs.map((tab) => (
          <div
            key={tab.id}
            id={`tab-${tab.id}`}
            className="tab"
            role="tab"
            aria-selected={tab.id === current}
            aria-label={`${tab.title}${tab.unsaved ? ", unsaved" : ""}`}
            tabIndex={tab.id === current ? 0 : -1}
            draggable
            onDragStart={() => {
              dragged.current = tab.id;
            }}
            onDragOver={(event) => dragged.current && event.preventDefault()}
            onDrop={(event) => {
              if (!dragged.current) return;
              event.preventDefault();
              moveTab(dragged.current, tab.id);
              dragged.current = null;
            }}
            onClick={() => choose(tab.id)}
            onAuxClick={(event) => event.button === 1 && closeTab(tab.id)}
            onContextMenu={(event) => {
              event.preventDefault();
              choose(tab.id);
              openMenu(tab.title, commandItems(["file.save", "file.saveAs", "file.copy", "file.versions", "tab.close"]), { x: event.clientX, y: event.clientY });
            }}
            onKeyDown={(event) => {
              if (event.key === "ArrowRight") step(1);
              else if (event.key === "ArrowLeft") step(-1);
              else if (event.key === "Delete") closeTab(tab.id);
              else if (event.key === "F2") runCommand("file.saveAs");
              else if (event.key === "Enter" || event.key === " ") choose(tab.id);
              else return;
              event.preventDefault();
            }}
          >
            <span className="cut">{tab.title}</span>
            {tab.unsaved && <span className="unsaved" title="unsaved; the draft is kept in this browser" />}
            {/* Delete closes it by keyboard: a button inside a tab would be no tab's child for a screen reader. */}
            <span className="tab__close" aria-hidden="true" title="Close" onClick={(event) => (event.stopPropagation(), closeTab(tab.id))}>
              <Icon name="close" small />
            </span>
          </div>
        ))}
      </div>
      <button type="button" className="tab tab--new" aria-label="New workflow" title="New workflow" onClick={() => openEmpty()}>
        <Icon name="plus" />
      </button>
    </div>
  );
}
