/** The open workflows as tabs: arrows go along them, Delete closes one, and each has a button that does. */
import { useRef } from "react";
import { runCommand } from "../keys/commands";
import { Icon } from "../marks";
import { openEmpty } from "../state/opening";
import type { Tab } from "../state/types";
import { useWorkspace } from "../state/workspace";
import { closeTab } from "./closing";
import { commandItems } from "./items";
import { openMenu } from "./Menu";

/** The commands of a tab's own menu. */
export const OF_TAB = ["file.save", "file.saveAs", "file.copy", "file.versions", "-", "tab.close", "tab.reopen"];

const focusTab = (id: string | undefined) => requestAnimationFrame(() => document.getElementById(`tab-${id}`)?.focus());

export function Tabs() {
  const tabs = useWorkspace((state) => state.tabs);
  const current = useWorkspace((state) => state.current);
  const dragged = useRef<string | null>(null);
  const step = (by: number) => {
    const at = tabs.findIndex((tab) => tab.id === current);
    const next = tabs[(at + by + tabs.length) % tabs.length];
    if (!next) return;
    useWorkspace.getState().choose(next.id);
    focusTab(next.id);
  };
  return (
    <div className="tabs">
      {/* The list owns the tabs and no more: the buttons that close them stand beside them and are no tabs. */}
      {tabs.length > 0 && <div role="tablist" aria-label="Open workflows" aria-owns={tabs.map((tab) => `tab-${tab.id}`).join(" ")} />}
      <div className="tabs__list">
        {tabs.map((tab) => (
          <OneTab key={tab.id} tab={tab} now={tab.id === current} dragged={dragged} step={step} />
        ))}
      </div>
      <button type="button" className="tab tab--new" aria-label="New workflow" title="New workflow" onClick={() => openEmpty()}>
        <Icon name="plus" />
      </button>
    </div>
  );
}

interface OneProps {
  readonly tab: Tab;
  readonly now: boolean;
  readonly dragged: { current: string | null };
  step(by: number): void;
}

function OneTab({ tab, now, dragged, step }: OneProps) {
  const { choose, moveTab } = useWorkspace.getState();
  const menu = (x: number, y: number) => {
    choose(tab.id);
    openMenu(tab.title, commandItems(OF_TAB), { x, y });
  };
  const close = () => {
    closeTab(tab.id);
    focusTab(useWorkspace.getState().current ?? undefined);
  };
  return (
    <div
      className={`tab-slot${now ? " tab-slot--now" : ""}`}
      draggable
      onDragStart={() => {
        dragged.current = tab.id;
      }}
      onDragEnd={() => {
        dragged.current = null;
      }}
      onDragOver={(event) => dragged.current && event.preventDefault()}
      onDrop={(event) => {
        if (!dragged.current) return;
        event.preventDefault();
        moveTab(dragged.current, tab.id);
        dragged.current = null;
      }}
      onAuxClick={(event) => event.button === 1 && closeTab(tab.id)}
      onContextMenu={(event) => {
        event.preventDefault();
        menu(event.clientX, event.clientY);
      }}
    >
      <div
        id={`tab-${tab.id}`}
        className="tab"
        role="tab"
        aria-selected={now}
        aria-label={`${tab.title}${tab.unsaved ? ", unsaved" : ""}`}
        title={tab.unsaved ? `${tab.title}: unsaved; the draft is kept in this browser` : tab.title}
        tabIndex={now ? 0 : -1}
        ref={(element) => {
          if (now) element?.scrollIntoView?.({ block: "nearest", inline: "nearest" });
        }}
        onClick={() => choose(tab.id)}
        onKeyDown={(event) => {
          if (event.key === "ArrowRight") step(1);
          else if (event.key === "ArrowLeft") step(-1);
          else if (event.key === "Home" || event.key === "End") {
            const { tabs } = useWorkspace.getState();
            const edge = event.key === "Home" ? tabs[0] : tabs.at(-1);
            if (edge) choose(edge.id);
            focusTab(edge?.id);
          } else if (event.key === "Delete") close();
          else if (event.key === "F2") runCommand("file.saveAs");
          else if (event.key === "Enter" || event.key === " ") choose(tab.id);
          else if (event.key === "ContextMenu" || (event.key === "F10" && event.shiftKey)) {
            const box = event.currentTarget.getBoundingClientRect();
            menu(box.left, box.bottom);
          } else return;
          event.preventDefault();
        }}
      >
        <span className="cut">{tab.title}</span>
        {tab.unsaved && <span className="unsaved" />}
      </div>
      <button type="button" className="tab__close" aria-label={`Close ${tab.title}`} title="Close" tabIndex={now ? 0 : -1} onClick={close}>
        <Icon name="close" small />
      </button>
    </div>
  );
}
