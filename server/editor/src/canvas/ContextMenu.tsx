import { useEffect, useRef } from "react";
import { useCanvas } from "./canvasStore";
import { itemsOf } from "./menuActs";
import { Icon } from "./parts";

const NAMES = { node: "Node", wire: "Wire", canvas: "Canvas", group: "Group", note: "Note", reroute: "Bend" } as const;

/** The menu of what is under the pointer; the same as Shift+F10. */
export function ContextMenu() {
  const menu = useCanvas((state) => state.menu);
  const set = useCanvas((state) => state.set);
  const box = useRef<HTMLDivElement>(null);
  const back = useRef<Element | null>(null);
  useEffect(() => {
    if (menu === null) return;
    back.current = document.activeElement;
    box.current?.querySelector<HTMLElement>("[role=menuitem]")?.focus();
  }, [menu]);
  if (menu === null) return null;
  const items = itemsOf(menu);
  const close = (): void => {
    set({ menu: null });
    if (back.current instanceof HTMLElement) back.current.focus();
  };
  return (
    <div
      ref={box}
      className="menu choice"
      role="menu"
      aria-label={NAMES[menu.on]}
      style={{ left: Math.min(menu.screen.x, window.innerWidth - 248), top: Math.max(8, Math.min(menu.screen.y, window.innerHeight - 16 - 30 * items.length)) }}
      onPointerDownCapture={(event) => event.stopPropagation()}
      onContextMenu={(event) => event.preventDefault()}
      onBlur={(event) => { if (!event.currentTarget.contains(event.relatedTarget)) set({ menu: null }); }}
      onKeyDown={(event) => {
        event.stopPropagation();
        const all = [...(box.current?.querySelectorAll<HTMLElement>("[role=menuitem]") ?? [])];
        const now = all.findIndex((item) => item === document.activeElement);
        if (event.key === "Escape" || event.key === "Tab") close();
        else if (event.key === "ArrowDown") all[(now + 1) % all.length]?.focus();
        else if (event.key === "ArrowUp") all[(now - 1 + all.length) % all.length]?.focus();
        else if (event.key === "Home") all[0]?.focus();
        else if (event.key === "End") all.at(-1)?.focus();
        else return;
        event.preventDefault();
      }}
    >
      {items.map((item) => (
        <button
          key={item.label}
          type="button"
          role="menuitem"
          tabIndex={-1}
          className={item.apart === true ? "item choice__item choice__item--apart" : "item choice__item"}
          onClick={() => { close(); item.run(); }}
        >
          <Icon name={item.icon} />
          <span>{item.label}</span>
          {item.key !== undefined && <span className="push quiet small">{item.key}</span>}
        </button>
      ))}
    </div>
  );
}
