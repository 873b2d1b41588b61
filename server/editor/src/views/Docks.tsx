/** The rail, and the panels at the left, the right and the bottom: docked, resized at their edge. */
import { type PointerEvent as ReactPointerEvent, useRef } from "react";
import { commandOf, keysOf, runCommand } from "../keys/commands";
import { type PanelSpec, panelOf, panelsOf } from "../keys/panels";
import { shownPress } from "../keys/press";
import { Icon } from "../marks";
import { resizePanel, SIZES, showPanel, type Side, togglePanel, usePreferences } from "../state/preferences";
import { effectiveTheme, toggleTheme } from "./theme";

function RailButton(props: { readonly icon: string; readonly label: string; readonly keys?: string | undefined; readonly pressed?: boolean; readonly push?: boolean; onClick(): void }) {
  const { icon, label, keys, pressed, push, onClick } = props;
  return (
    <button
      type="button"
      className={`rail__button${push ? " push" : ""}`}
      aria-label={label}
      title={keys ? `${label} (${shownPress(keys)})` : label}
      {...(pressed !== undefined && { "aria-pressed": pressed })}
      onClick={onClick}
    >
      <Icon name={icon} />
    </button>
  );
}

export function Rail() {
  const open = usePreferences((state) => state.open.left);
  usePreferences((state) => state.theme);
  const key = (id: string) => {
    const command = commandOf(id);
    return command && keysOf(command)[0];
  };
  return (
    <nav className="rail" aria-label="Panels" data-region="panels">
      {panelsOf("left").map((panel) => (
        <RailButton key={panel.id} icon={panel.icon} label={panel.title} keys={panel.key} pressed={open === panel.id} onClick={() => togglePanel("left", panel.id)} />
      ))}
      <RailButton push icon={effectiveTheme() === "dark" ? "sun" : "moon"} label="Light or dark" onClick={toggleTheme} />
      <RailButton icon="settings" label="Settings" keys={key("view.preferences")} onClick={() => runCommand("view.preferences")} />
      <RailButton icon="help" label="Keys and help" keys={key("help.keys")} onClick={() => runCommand("help.keys")} />
    </nav>
  );
}

/** The edge by which a panel is resized: by pointer, by arrow keys; double-click gives the usual size. */
function Edge({ side }: { readonly side: Side }) {
  const size = usePreferences((state) => state.sizes[side]);
  const from = useRef<{ at: number; size: number } | null>(null);
  const grow = side === "left" ? 1 : -1;
  const at = (event: ReactPointerEvent) => (side === "bottom" ? event.clientY : event.clientX);
  return (
    <div
      className={`edge-grip edge-grip--${side}`}
      role="separator"
      aria-label={`Size of the ${side} panel`}
      aria-orientation={side === "bottom" ? "horizontal" : "vertical"}
      aria-valuenow={size}
      aria-valuemin={SIZES[side][0]}
      aria-valuemax={side === "bottom" ? Math.round(window.innerHeight / 2) : SIZES[side][2]}
      tabIndex={0}
      onPointerDown={(event) => {
        event.preventDefault();
        event.currentTarget.setPointerCapture(event.pointerId);
        from.current = { at: at(event), size };
      }}
      onPointerMove={(event) => {
        if (from.current) resizePanel(side, from.current.size + grow * (at(event) - from.current.at), window.innerHeight);
      }}
      onPointerUp={() => {
        from.current = null;
      }}
      onPointerCancel={() => {
        from.current = null;
      }}
      onLostPointerCapture={() => {
        from.current = null;
      }}
      onDoubleClick={() => resizePanel(side, null)}
      onKeyDown={(event) => {
        // Along the edge's own way only: the other arrows are not for it.
        const [less, more] = side === "bottom" ? ["ArrowUp", "ArrowDown"] : ["ArrowLeft", "ArrowRight"];
        const by = event.key === less ? -8 : event.key === more ? 8 : 0;
        if (by === 0) return;
        event.preventDefault();
        resizePanel(side, size + grow * by, window.innerHeight);
      }}
    />
  );
}

export function LeftDock() {
  const id = usePreferences((state) => state.open.left);
  const size = usePreferences((state) => state.sizes.left);
  const panel = id === null ? undefined : panelOf(id);
  if (!panel || panel.side !== "left") return null;
  const Body = panel.component;
  return (
    <aside className="panel left" aria-label={panel.title} data-region={panel.title} data-scope={panel.id} style={{ width: size }}>
      <Body />
      <Edge side="left" />
    </aside>
  );
}

function Count({ panel }: { readonly panel: PanelSpec }) {
  const counted = panel.useCount?.() ?? null;
  if (!counted) return null;
  return <span className={`count${counted.tone ? ` count--${counted.tone}` : ""}`}>{counted.count}</span>;
}

function PanelTabs({ side, now, open = true }: { readonly side: Side; readonly now: string; readonly open?: boolean }) {
  const panels = panelsOf(side);
  return (
    <div className="panel__tablist" role="tablist" aria-label={side === "right" ? "Right panels" : "Bottom panels"}>
      {panels.map((panel, index) => (
        <button
          key={panel.id}
          type="button"
          className="panel__tab"
          role="tab"
          id={`panel-tab-${panel.id}`}
          aria-selected={panel.id === now}
          {...(open && { "aria-controls": `panel-${side}` })}
          tabIndex={panel.id === now ? 0 : -1}
          onClick={() => showPanel(side, panel.id)}
          onKeyDown={(event) => {
            const by = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
            if (by === undefined) return;
            event.preventDefault();
            const next = panels[(index + by + panels.length) % panels.length];
            if (!next) return;
            showPanel(side, next.id);
            requestAnimationFrame(() => document.getElementById(`panel-tab-${next.id}`)?.focus());
          }}
        >
          {panel.title}
          <Count panel={panel} />
        </button>
      ))}
    </div>
  );
}

export function RightDock() {
  const id = usePreferences((state) => state.open.right);
  const size = usePreferences((state) => state.sizes.right);
  const panel = id === null ? undefined : panelOf(id);
  if (!panel || panel.side !== "right") return null;
  const Body = panel.component;
  return (
    <aside className="panel right" aria-label={panel.title} data-region={panel.title} data-scope={panel.id} style={{ width: size }}>
      <Edge side="right" />
      <div className="panel__tabs">
        <PanelTabs side="right" now={panel.id} />
      </div>
      <div className="panel__body panel__body--scrolls" role="tabpanel" id="panel-right" aria-labelledby={`panel-tab-${panel.id}`}>
        <Body />
      </div>
    </aside>
  );
}

export function BottomDock() {
  const id = usePreferences((state) => state.open.bottom);
  const last = usePreferences((state) => state.last.bottom);
  const size = usePreferences((state) => state.sizes.bottom);
  const panel = id === null ? undefined : panelOf(id);
  const open = panel?.side === "bottom" ? panel : undefined;
  const Body = open?.component;
  const Aside = open?.aside;
  const now = open?.id ?? last ?? "";
  return (
    <section className={`bottom${open ? "" : " bottom--closed"}`} aria-label={open?.title ?? "Bottom panels"} data-region={open?.title ?? "bottom panels"} data-scope={open?.id} style={open ? { height: size } : {}}>
      {open && <Edge side="bottom" />}
      <div className="panel__tabs">
        <PanelTabs side="bottom" now={now} open={open !== undefined} />
        <span className="push row">{Aside && <Aside />}</span>
        <button
          type="button"
          className="button button--plain button--icon button--small"
          aria-label={open ? "Close the bottom panel" : "Open the bottom panel"}
          aria-expanded={open !== undefined}
          onClick={() => showPanel("bottom", open ? null : (last ?? panelsOf("bottom")[0]?.id ?? null))}
        >
          <Icon name={open ? "down" : "up"} />
        </button>
      </div>
      {Body && (
        <div className="bottom__main" role="tabpanel" id="panel-bottom" aria-labelledby={`panel-tab-${now}`}>
          <Body />
        </div>
      )}
    </section>
  );
}
