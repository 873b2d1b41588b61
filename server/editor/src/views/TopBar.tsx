/** The top bar: open workflows, graph or app, seed, live, run. */
import { commandOf, runCommand } from "../keys/commands";
import { Icon } from "../marks";
import { useWorkspace } from "../state/workspace";
import { MenuButton, type MenuItem } from "./Menu";
import { RunButton } from "./RunButton";
import { LiveSwitch, SeedField } from "./SeedField";
import { Tabs } from "./Tabs";
import { commandItems } from "./items";

export function Brand() {
  return (
    <svg viewBox="0 0 20 20" fill="none" stroke="currentColor" strokeWidth="2" strokeLinecap="round" aria-hidden="true">
      <path d="M5 2.5v2.6M5 10.4v7.1M10 2.5v7.1M10 14.9v2.6M15 2.5v2.6M15 10.4v7.1" opacity=".55" />
      <path d="M2 7.75h16M2 12.25h5M13 12.25h5" />
    </svg>
  );
}

/** The commands of the menu at the mark. */
export const BRAND = ["file.new", "file.open", "-", "file.save", "file.saveAs", "file.download", "file.versions", "-", "file.share", "file.python", "view.text", "-", "help.commands", "help.keys", "view.preferences"];

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
            {current.view === "app" ? (
              <>
                <BarCommand id="file.share" icon="goto" label="Copy link" why="Save it first: the link goes to what is saved." />
                <BarCommand id="file.python" icon="copy" label="Copy as Python" />
              </>
            ) : (
              <>
                <SeedField tab={current} />
                <LiveSwitch tab={current} />
              </>
            )}
          </>
        )}
        {current?.view !== "app" && <RunButton tab={current} />}
      </div>
    </header>
  );
}

/** A command as a button with its words. */
function BarCommand({ id, icon, label, why }: { readonly id: string; readonly icon: string; readonly label: string; readonly why?: string }) {
  const off = commandOf(id)?.when?.() === false;
  return (
    <button type="button" className="button button--plain bar-command" disabled={off} title={off ? why : undefined} onClick={() => runCommand(id)}>
      <Icon name={icon} />
      {label}
    </button>
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
