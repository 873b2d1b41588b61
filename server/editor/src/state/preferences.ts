/** What this browser remembers of its reader's choices: theme, panels and their sizes, the wheel, keys. */
import { create } from "zustand";

export type Theme = "system" | "dark" | "light";
export type Side = "left" | "right" | "bottom";

export interface Preferences {
  readonly theme: Theme;
  /** The panel that is open on each side; null: closed. */
  readonly open: Readonly<Record<Side, string | null>>;
  /** What was open before the side was closed, so that it can come back. */
  readonly last: Readonly<Record<Side, string | null>>;
  readonly sizes: Readonly<Record<Side, number>>;
  /** What the wheel does over the canvas; where it pans, it zooms with Ctrl. */
  readonly wheel: "zoom" | "pan";
  /** Whether keys without Ctrl or Alt work on the canvas and in lists. */
  readonly singleKeys: boolean;
  /** Keys that the reader gave to commands, by the command's id; an empty list: none. */
  readonly keys: Readonly<Record<string, readonly string[]>>;
  /** Types of nodes that were added, the newest first. */
  readonly used: readonly string[];
}

/** Least, usual and most size of each side in px; the bottom's most is half of the window. */
export const SIZES: Readonly<Record<Side, readonly [number, number, number]>> = {
  left: [200, 248, 420],
  right: [264, 296, 480],
  bottom: [112, 168, 2000],
};

const KEY = "weft.preferences";
const MOST_USED = 30;

const USUAL: Preferences = {
  theme: "system",
  open: { left: null, right: "inspector", bottom: null },
  last: { left: "add", right: "inspector", bottom: "problems" },
  sizes: { left: 248, right: 296, bottom: 168 },
  wheel: "zoom",
  singleKeys: true,
  keys: {},
  used: [],
};

function record(value: unknown): Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value) ? (value as Record<string, unknown>) : {};
}

/** What was stored, as far as it can be understood; the rest is as usual. */
export function understood(text: string | null): Preferences {
  let said: Record<string, unknown> = {};
  try {
    said = record(JSON.parse(text ?? "{}"));
  } catch {
    // Not ours, or cut off: as usual.
  }
  const sides = <T>(from: unknown, usual: Readonly<Record<Side, T>>, fits: (value: unknown, side: Side) => value is T): Record<Side, T> => {
    const given = record(from);
    const of = (side: Side) => {
      const value = Object.hasOwn(given, side) ? given[side] : undefined;
      return fits(value, side) ? value : usual[side];
    };
    return { left: of("left"), right: of("right"), bottom: of("bottom") };
  };
  const panel = (value: unknown): value is string | null => value === null || typeof value === "string";
  const size = (value: unknown, side: Side): value is number =>
    typeof value === "number" && value >= SIZES[side][0] && value <= SIZES[side][2];
  const keys: [string, string[]][] = [];
  for (const [id, list] of Object.entries(record(said.keys))) {
    if (Array.isArray(list) && list.every((key) => typeof key === "string")) keys.push([id, list]);
  }
  return {
    theme: said.theme === "dark" || said.theme === "light" ? said.theme : "system",
    open: sides(said.open, USUAL.open, panel),
    last: sides(said.last, USUAL.last, panel),
    sizes: sides(said.sizes, USUAL.sizes, size),
    wheel: said.wheel === "pan" ? "pan" : "zoom",
    singleKeys: said.singleKeys !== false,
    keys: Object.fromEntries(keys),
    used: Array.isArray(said.used) ? said.used.filter((name) => typeof name === "string").slice(0, MOST_USED) : [],
  };
}

function stored(): string | null {
  try {
    return localStorage.getItem(KEY);
  } catch {
    return null;
  }
}

export const usePreferences = create<Preferences>(() => understood(stored()));

/** Changes some of them, and remembers it where the browser lets us. */
export function prefer(change: Partial<Preferences>): void {
  usePreferences.setState(change);
  try {
    localStorage.setItem(KEY, JSON.stringify(usePreferences.getState()));
  } catch {
    // A private window: it holds for as long as the page does.
  }
}

/** Opens a panel of a side, or closes the side with null. */
export function showPanel(side: Side, id: string | null): void {
  const { open, last } = usePreferences.getState();
  prefer({ open: { ...open, [side]: id }, ...(id !== null && { last: { ...last, [side]: id } }) });
}

/** Opens a panel, or closes its side when it is open. */
export function togglePanel(side: Side, id: string): void {
  showPanel(side, usePreferences.getState().open[side] === id ? null : id);
}

/** Closes all sides, or opens again what was open. */
export function togglePanels(): void {
  const { open, last } = usePreferences.getState();
  const any = open.left !== null || open.right !== null || open.bottom !== null;
  if (!any) return prefer({ open: { ...last, left: null } });
  prefer({ open: { left: null, right: null, bottom: null } });
}

/** A size within its bounds; null gives the usual one. */
export function resizePanel(side: Side, size: number | null, window = 900): void {
  const [least, usual, most] = SIZES[side];
  const top = side === "bottom" ? Math.max(least, window / 2) : most;
  const { sizes } = usePreferences.getState();
  prefer({ sizes: { ...sizes, [side]: size === null ? usual : Math.round(Math.min(Math.max(size, least), top)) } });
}

/** All panels as they were at first. */
export function resetPanels(): void {
  const { open, last, sizes } = USUAL;
  prefer({ open, last, sizes });
}

/** Notes that a type was added, for "used lately". */
export function usedType(name: string): void {
  const { used } = usePreferences.getState();
  prefer({ used: [name, ...used.filter((other) => other !== name)].slice(0, MOST_USED) });
}
