/** What the reader has chosen for this browser. */
import { create } from "zustand";

export interface Preferences {
  readonly theme: "system" | "light" | "dark";
  /** What the wheel does over the canvas. */
  readonly wheel: "zoom" | "pan";
  /** Open panels, by side. */
  readonly panels: { readonly left: string | null; readonly right: string | null; readonly bottom: string | null };
  /** Sizes of panels by side, in pixels; absent: the default. */
  readonly sizes: { readonly left?: number; readonly right?: number; readonly bottom?: number };
  /** Keys of commands that are others than at first; none: turned off. */
  readonly keys: { readonly [command: string]: readonly string[] };
  /** Single keys work on the canvas and in the outline. */
  readonly singleKeys: boolean;
  /** Types of nodes that were added, the newest first. */
  readonly used: readonly string[];
}

const FIRST: Preferences = {
  theme: "system",
  wheel: "zoom",
  panels: { left: null, right: "inspector", bottom: null },
  sizes: {},
  keys: {},
  singleKeys: true,
  used: [],
};
const KEY = "weft.preferences";

/** What was kept, as far as it is of the right kind. */
export function readPreferences(text: string | null): Preferences {
  let said: unknown;
  try {
    said = JSON.parse(text ?? "{}");
  } catch {
    return FIRST;
  }
  if (typeof said !== "object" || said === null || Array.isArray(said)) return FIRST;
  const found: Record<string, unknown> = { ...FIRST };
  for (const [key, first] of Object.entries(FIRST)) {
    const value = Object.hasOwn(said, key) ? (said as Record<string, unknown>)[key] : undefined;
    const alike = typeof value === typeof first && value !== null && Array.isArray(value) === Array.isArray(first);
    if (alike) found[key] = value;
  }
  const kept = found as unknown as Preferences;
  const theme = ["system", "light", "dark"].includes(kept.theme) ? kept.theme : FIRST.theme;
  const wheel = kept.wheel === "pan" ? "pan" : "zoom";
  return { ...kept, theme, wheel, panels: { ...FIRST.panels, ...kept.panels } };
}

function kept(): string | null {
  try {
    return localStorage.getItem(KEY);
  } catch {
    return null;
  }
}

export const usePreferences = create<Preferences>(() => readPreferences(kept()));

usePreferences.subscribe((now) => {
  try {
    localStorage.setItem(KEY, JSON.stringify(now));
  } catch {
    // It holds for this page.
  }
});

/** Changes some of them. */
export function prefer(change: Partial<Preferences>): void {
  usePreferences.setState(change);
}

/** Notes that a type was added, for "used lately". */
export function usedType(name: string): void {
  usePreferences.setState(({ used }) => ({ used: [name, ...used.filter((other) => other !== name)].slice(0, 30) }));
}
