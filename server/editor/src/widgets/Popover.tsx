/** A list or a small form that belongs to a field: above everything, at its edge, at the size of the page and not of the canvas. */
import { useEffect, useLayoutEffect, useRef, useState, type ReactNode } from "react";
import { createPortal } from "react-dom";

interface PopoverProps {
  readonly anchor: HTMLElement | null;
  readonly label: string;
  readonly role?: "dialog" | "listbox" | "menu" | undefined;
  readonly width?: number | undefined;
  /** `back` is true when the focus goes back to the field. */
  onClose(back: boolean): void;
  readonly children: ReactNode;
}

const EDGE = 8;

export function Popover({ anchor, label, role = "dialog", width, onClose, children }: PopoverProps) {
  const box = useRef<HTMLDivElement>(null);
  const close = useRef(onClose);
  close.current = onClose;
  const [at, setAt] = useState<{ left: number; top: number; width: number; height: number } | null>(null);

  useLayoutEffect(() => {
    const place = () => {
      if (!anchor || !box.current) return;
      const rect = anchor.getBoundingClientRect();
      const wide = Math.min(width ?? Math.max(rect.width, 240), window.innerWidth - 2 * EDGE);
      const below = window.innerHeight - rect.bottom - EDGE;
      const above = rect.top - EDGE;
      const wanted = Math.min(box.current.scrollHeight, 360);
      const under = below >= wanted || below >= above;
      const height = Math.max(120, Math.min(360, under ? below - 4 : above - 4));
      const left = Math.max(EDGE, Math.min(rect.left, window.innerWidth - wide - EDGE));
      setAt({ left, width: wide, height, top: under ? rect.bottom + 4 : Math.max(EDGE, rect.top - 4 - Math.min(wanted, height)) });
    };
    place();
    const watch = new ResizeObserver(place);
    if (box.current) watch.observe(box.current);
    window.addEventListener("resize", place);
    return () => {
      watch.disconnect();
      window.removeEventListener("resize", place);
    };
  }, [anchor, width]);

  useEffect(() => {
    const outside = (event: Event) => {
      const target = event.target;
      if (target instanceof Node && (box.current?.contains(target) || anchor?.contains(target))) return;
      // A list opened from within this one is a portal beside it, not inside.
      if (target instanceof Element && target.closest("[data-popover]")) return;
      close.current(false);
    };
    // A field in it gave the keys up by Escape: nothing has them, and the next Escape is for the form.
    const left = (event: KeyboardEvent) => {
      if (event.key !== "Escape" || document.activeElement !== document.body) return;
      event.preventDefault();
      event.stopPropagation();
      close.current(true);
    };
    document.addEventListener("pointerdown", outside, true);
    document.addEventListener("keydown", left, true);
    return () => {
      document.removeEventListener("pointerdown", outside, true);
      document.removeEventListener("keydown", left, true);
    };
  }, [anchor]);

  return createPortal(
    <div
      ref={box}
      data-popover=""
      className="menu popover"
      role={role}
      aria-label={label}
      style={at ? { left: at.left, top: at.top, width: at.width, maxHeight: at.height } : { opacity: 0, left: 0, top: 0 }}
      onKeyDown={(event) => {
        if (event.key === "Escape") {
          event.preventDefault();
          event.stopPropagation();
          onClose(true);
        }
      }}
    >
      {children}
    </div>,
    document.body,
  );
}
