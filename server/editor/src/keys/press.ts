/** Keys by what they write, so that they hold on any layout: `Ctrl+Shift+Enter`, `Shift+[`, `?`, `F8`. */

export interface Press {
  readonly key: string;
  readonly code?: string;
  readonly ctrlKey: boolean;
  readonly metaKey: boolean;
  readonly altKey: boolean;
  readonly shiftKey: boolean;
  getModifierState?(key: "AltGraph"): boolean;
}

/** Keys that another character stands on with Shift: there the place on the keyboard counts as well. */
const PLACES: ReadonlyMap<string, string> = new Map([
  ["[", "BracketLeft"],
  ["]", "BracketRight"],
  ["=", "Equal"],
  ["-", "Minus"],
  [".", "Period"],
  ...Array.from("0123456789", (digit): [string, string] => [digit, `Digit${digit}`]),
]);

const NAMES: ReadonlyMap<string, string> = new Map([
  [" ", "Space"],
  ["Esc", "Escape"],
  ["Del", "Delete"],
  ["Up", "ArrowUp"],
  ["Down", "ArrowDown"],
  ["Left", "ArrowLeft"],
  ["Right", "ArrowRight"],
]);

interface Wanted {
  readonly key: string;
  readonly ctrl: boolean;
  readonly alt: boolean;
  readonly shift: boolean;
}

/** `Ctrl+K` as its parts. The last part is the key, so that `Ctrl++` is Ctrl and plus. */
export function parsePress(text: string): Wanted {
  const cut = text.length < 2 ? -1 : text.lastIndexOf("+", text.length - 2);
  const others = cut < 0 ? [] : text.slice(0, cut).split("+");
  const name = cut < 0 ? text : text.slice(cut + 1);
  return {
    key: NAMES.get(name) ?? name,
    ctrl: others.includes("Ctrl"),
    alt: others.includes("Alt"),
    shift: others.includes("Shift"),
  };
}

const isMac = () => typeof navigator !== "undefined" && /Mac|iPhone|iPad/.test(navigator.platform);

/**
 * Whether AltGr wrote the character: Windows tells it as Ctrl and Alt, so that `AltGr+Q`, an @ in German, would be Ctrl+Alt. On a
 * Mac some browsers call Option AltGraph, and there it is Alt.
 */
function written(press: Press, mac: boolean): boolean {
  return !mac && press.key.length === 1 && press.getModifierState?.("AltGraph") === true;
}

/** Ctrl (Cmd on a Mac) and Alt as they are meant. */
function modifiers(press: Press, mac: boolean): { ctrl: boolean; alt: boolean; other: boolean } {
  const altGr = written(press, mac);
  const ctrl = mac ? press.metaKey : press.ctrlKey;
  return { ctrl: ctrl && !altGr, alt: press.altKey && !altGr, other: mac ? press.ctrlKey : press.metaKey };
}

/** Whether what was pressed is what `text` says. `Ctrl` is Cmd on a Mac. */
export function matches(text: string, press: Press, mac = isMac()): boolean {
  const wanted = parsePress(text);
  const { ctrl, alt, other } = modifiers(press, mac);
  if (wanted.ctrl !== ctrl || wanted.alt !== alt || other) return false;
  const key = press.key === " " ? "Space" : press.key;
  const letter = wanted.key.length === 1 && wanted.key.toLowerCase() !== wanted.key.toUpperCase();
  if (letter) {
    // With Alt a Mac writes another character: then the place counts.
    const same = key.toLowerCase() === wanted.key.toLowerCase() || (wanted.alt && press.code === `Key${wanted.key.toUpperCase()}`);
    return same && wanted.shift === press.shiftKey;
  }
  if (wanted.key.length === 1) {
    const place = PLACES.get(wanted.key);
    if (wanted.shift) return press.shiftKey && (key === wanted.key || press.code === place);
    // A sign that is written with Shift on this layout, such as "?", is meant as it is written.
    return key === wanted.key;
  }
  return key === wanted.key && wanted.shift === press.shiftKey;
}

/** Whether it is a single key in the sense of WCAG 2.1.4: a character without Ctrl or Alt. */
export function isSingle(text: string): boolean {
  const wanted = parsePress(text);
  return !wanted.ctrl && !wanted.alt && (wanted.key.length === 1 || wanted.key === "Space");
}

const SIGNS: ReadonlyMap<string, string> = new Map([
  ["Enter", "⏎"],
  ["ArrowUp", "↑"],
  ["ArrowDown", "↓"],
  ["ArrowLeft", "←"],
  ["ArrowRight", "→"],
  ["Escape", "Esc"],
  ["Backspace", "⌫"],
  ["Tab", "⇥"],
]);

/** A key as it is shown: `⌘ ⇧ ⏎` on a Mac, `Ctrl ⇧ ⏎` elsewhere. */
export function shownPress(text: string, mac = isMac()): string {
  const { key, ctrl, alt, shift } = parsePress(text);
  const parts = [ctrl && (mac ? "⌘" : "Ctrl"), alt && (mac ? "⌥" : "Alt"), shift && "⇧"];
  return [...parts, SIGNS.get(key) ?? (key.length === 1 ? key.toUpperCase() : key)].filter(Boolean).join(" ");
}

/** What was pressed, as a text to keep; null for a modifier alone. */
export function pressText(press: Press, mac = isMac()): string | null {
  if (["Control", "Shift", "Alt", "Meta", "Dead", "AltGraph"].includes(press.key)) return null;
  const key = press.key === " " ? "Space" : press.key.length === 1 ? press.key.toUpperCase() : press.key;
  const letter = key.length > 1 || key.toLowerCase() !== key;
  const { ctrl, alt } = modifiers(press, mac);
  const parts = [ctrl && "Ctrl", alt && "Alt", press.shiftKey && letter && "Shift", key];
  return parts.filter(Boolean).join("+");
}
