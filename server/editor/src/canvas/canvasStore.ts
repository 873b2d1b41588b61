import { create } from "zustand";
import type { Document } from "../document/types";
import type { Detail } from "./detail";

/** One end of a thread: an output, or an input (`index` in a list). */
export interface End {
  readonly node: string;
  readonly port: string;
  readonly index: number | null;
  readonly side: "in" | "out";
  readonly type: string;
}

/** The palette: where it stands on the screen and in the graph, and what it is to link. */
export interface PaletteState {
  readonly screen: { readonly x: number; readonly y: number };
  readonly graph: { readonly x: number; readonly y: number };
  readonly from: End | null;
  /** The thread into which the new node goes. */
  readonly wire: string | null;
}

export interface MenuState {
  readonly screen: { readonly x: number; readonly y: number };
  readonly graph: { readonly x: number; readonly y: number };
  readonly on: "node" | "wire" | "canvas" | "group" | "note" | "reroute";
  readonly id: string | null;
}

/** A short list at the pointer or card: what a link may go to. */
export interface ChoiceState {
  readonly screen: { readonly x: number; readonly y: number };
  readonly title: string;
  readonly options: readonly { readonly label: string; readonly aside: string; readonly type: string; readonly run: () => void }[];
}

/** What the canvas shows for a moment; nothing of it is kept. */
export interface CanvasState {
  readonly palette: PaletteState | null;
  readonly menu: MenuState | null;
  readonly choice: ChoiceState | null;
  readonly connecting: End | null;
  /** Why the wire does not go where the pointer is. */
  readonly refusal: string | null;
  readonly pointedThread: string | null;
  readonly renaming: string | null;
  readonly detail: Detail;
  /** The block under the pointer, which is an element of the page meanwhile. */
  readonly pointedBlock: string | null;
  /** The thread into which a dragged card would go. */
  readonly insertInto: string | null;
  /** Found by the outline: marked at any size. */
  readonly found: ReadonlySet<string>;
  /** The document of the run that the cards show, for what changed since. */
  readonly ran: Document | undefined;
  readonly set: (part: Partial<Omit<CanvasState, "set">>) => void;
}

const NONE: ReadonlySet<string> = new Set();

export const useCanvas = create<CanvasState>((set) => ({
  palette: null,
  menu: null,
  choice: null,
  connecting: null,
  refusal: null,
  pointedThread: null,
  renaming: null,
  detail: "full",
  pointedBlock: null,
  insertInto: null,
  found: NONE,
  ran: undefined,
  set: (part) => set(part),
}));

/** Closes palette, menu and list; true when one was open. */
export function closeFloating(): boolean {
  const { palette, menu, choice, set } = useCanvas.getState();
  if (palette === null && menu === null && choice === null) return false;
  set({ palette: null, menu: null, choice: null });
  return true;
}
