/** A menu while it is open: comes after the first picture. */
import { useEffect, useLayoutEffect, useRef, useState } from "react";
import { shownPress } from "../keys/press";
import { Icon } from "../marks";
import { closeMenu, type MenuItem, type Open, useMenu } from "./Menu";

export function MenuBox({ open }: { readonly open: Open }) {
  const box = useRef<HTMLDivElement>(null);
  const [at, setAt] = useState(() => open.items.findIndex((item) => !item.disabled));
  const typed = useRef({ text: "", time: 0 });

  useLayoutEffect(() => {
    const element = box.current;
    if (!element) return;
    // Stays within the window, whatever the pointer was near to.
    const left = open.right ? open.x - element.offsetWidth : open.x;
    element.style.left = `${Math.max(4, Math.min(left, window.innerWidth - element.offsetWidth - 4))}px`;
    element.style.top = `${Math.max(4, Math.min(open.y, window.innerHeight - element.offsetHeight - 4))}px`;
    element.focus();
  }, [open]);

  useEffect(() => {
    const away = (event: PointerEvent) => {
      if (!(event.target instanceof Node && box.current?.contains(event.target))) useMenu.setState({ open: null });
    };
    window.addEventListener("pointerdown", away, true);
    window.addEventListener("blur", closeMenu);
    return () => {
      window.removeEventListener("pointerdown", away, true);
      window.removeEventListener("blur", closeMenu);
    };
  }, []);

  const step = (by: number) => {
    const count = open.items.length;
    for (let next = at + by, steps = 0; steps < count; next += by, steps += 1) {
      const index = ((next % count) + count) % count;
      if (!open.items[index]?.disabled) return setAt(index);
    }
  };
  const choose = (item: MenuItem | undefined) => {
    if (!item || item.disabled) return;
    closeMenu();
    item.run();
  };

  return (
    <div
      ref={box}
      className="menu menu--list"
      role="menu"
      aria-label={open.label}
      tabIndex={-1}
      aria-activedescendant={at >= 0 ? `menu-${at}` : undefined}
      onContextMenu={(event) => event.preventDefault()}
      onKeyDown={(event) => {
        const { key } = event;
        event.stopPropagation();
        if (key === "ArrowDown" || key === "ArrowUp") step(key === "ArrowDown" ? 1 : -1);
        else if (key === "Home" || key === "End") setAt(key === "Home" ? 0 : open.items.length - 1);
        else if (key === "Enter" || key === " ") choose(open.items[at]);
        else if (key === "Escape" || key === "Tab") closeMenu();
        else if (key.length === 1 && !event.ctrlKey && !event.metaKey) {
          const now = Date.now();
          typed.current = { text: (now - typed.current.time < 700 ? typed.current.text : "") + key.toLowerCase(), time: now };
          const found = open.items.findIndex((item) => !item.disabled && item.label.toLowerCase().startsWith(typed.current.text));
          if (found >= 0) setAt(found);
        } else return;
        event.preventDefault();
      }}
    >
      {open.items.map((item, index) => (
        <div key={item.id}>
          {item.separate && <hr className="menu__line" />}
          <div
            id={`menu-${index}`}
            className={`item${index === at ? " item--chosen" : ""}${item.disabled ? " item--off" : ""}`}
            role={item.checked === undefined ? "menuitem" : "menuitemradio"}
            aria-checked={item.checked}
            aria-disabled={item.disabled || undefined}
            onPointerEnter={() => !item.disabled && setAt(index)}
            onClick={() => choose(item)}
          >
            {item.checked ? <Icon name="check" /> : item.icon ? <Icon name={item.icon} /> : <span className="menu__gap" />}
            <span>{item.label}</span>
            <span className="push faint small">
              {item.aside}
              {item.keys && <kbd>{shownPress(item.keys)}</kbd>}
            </span>
          </div>
        </div>
      ))}
    </div>
  );
}
