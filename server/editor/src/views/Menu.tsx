/** Menus: of buttons, of what is under the pointer, and the same by Shift+F10. */
import type { ReactNode } from "react";
import { createPortal } from "react-dom";
import { create } from "zustand";
import { later } from "../marks/later";

export interface MenuItem {
  readonly id: string;
  readonly label: string;
  readonly icon?: string;
  /** Beside the label, in quiet words. */
  readonly aside?: string;
  readonly keys?: string;
  readonly checked?: boolean;
  readonly disabled?: boolean;
  /** A line above it. */
  readonly separate?: boolean;
  run(): void;
}

export interface Open {
  readonly label: string;
  readonly items: readonly MenuItem[];
  readonly x: number;
  readonly y: number;
  /** The menu's right edge stands at x. */
  readonly right?: boolean;
  /** Has the focus again when the menu closes. */
  readonly back: HTMLElement | null;
}

/** The menu that is open. */
export const useMenu = create<{ readonly open: Open | null }>(() => ({ open: null }));

const focused = () => (document.activeElement instanceof HTMLElement ? document.activeElement : null);

/** Opens a menu at a point of the page. */
export function openMenu(label: string, items: readonly MenuItem[], at: { readonly x: number; readonly y: number }): void {
  if (items.length > 0) useMenu.setState({ open: { label, items, ...at, back: focused() } });
}

/** Opens a menu below an element. */
export function openMenuAt(label: string, items: readonly MenuItem[], anchor: HTMLElement, right = false): void {
  const box = anchor.getBoundingClientRect();
  useMenu.setState({ open: { label, items, x: right ? box.right : box.left, y: box.bottom + 4, right, back: anchor } });
}

export function closeMenu(): void {
  const { open } = useMenu.getState();
  if (!open) return;
  useMenu.setState({ open: null });
  open.back?.focus();
}

const MenuBox = later(async () => (await import("./MenuBox")).MenuBox);

/** Stands once in the page. */
export function MenuHost() {
  const open = useMenu((state) => state.open);
  return open ? createPortal(<MenuBox key={`${open.x},${open.y},${open.label}`} open={open} />, document.body) : null;
}

/** A button that opens a menu. */
export function MenuButton(props: {
  readonly label: string;
  readonly className: string;
  readonly items: () => readonly MenuItem[];
  readonly right?: boolean;
  readonly disabled?: boolean;
  readonly children: ReactNode;
}) {
  const open = useMenu((state) => state.open?.label === props.label);
  return (
    <button
      type="button"
      className={props.className}
      aria-haspopup="menu"
      aria-expanded={open}
      aria-label={props.label}
      title={props.label}
      disabled={props.disabled}
      onClick={(event) => openMenuAt(props.label, props.items(), event.currentTarget, props.right)}
    >
      {props.children}
    </button>
  );
}
