import { describe, expect, it } from "vitest";
import { isSingle, matches, parsePress, pressText, shownPress } from "./press";

const press = (key: string, more: Partial<{ ctrlKey: boolean; metaKey: boolean; altKey: boolean; shiftKey: boolean; code: string }> = {}) => ({
  key,
  ctrlKey: false,
  metaKey: false,
  altKey: false,
  shiftKey: false,
  ...more,
});

describe("keys", () => {
  it("takes the last part as the key", () => {
    expect(parsePress("Ctrl++")).toEqual({ key: "+", ctrl: true, alt: false, shift: false });
    expect(parsePress("+").key).toBe("+");
  });
  it("goes by what is written, on any layout", () => {
    expect(matches("?", press("?", { shiftKey: true }), false)).toBe(true);
    expect(matches("Shift+0", press(")", { shiftKey: true, code: "Digit0" }), false)).toBe(true);
    expect(matches("Shift+0", press("=", { shiftKey: true, code: "Digit0" }), false)).toBe(true);
    expect(matches("Shift+[", press("{", { shiftKey: true, code: "BracketLeft" }), false)).toBe(true);
    expect(matches("[", press("[", { altKey: false }), false)).toBe(true);
  });
  it("tells letters with Shift from those without", () => {
    expect(matches("S", press("s"), false)).toBe(true);
    expect(matches("S", press("S", { shiftKey: true }), false)).toBe(false);
    expect(matches("Shift+S", press("S", { shiftKey: true }), false)).toBe(true);
    expect(matches("S", press("s", { ctrlKey: true }), false)).toBe(false);
  });
  it("takes Cmd for Ctrl on a Mac", () => {
    expect(matches("Ctrl+K", press("k", { metaKey: true }), true)).toBe(true);
    expect(matches("Ctrl+K", press("k", { ctrlKey: true }), true)).toBe(false);
    expect(shownPress("Ctrl+Shift+Enter", true)).toBe("⌘ ⇧ ⏎");
  });
  it("keeps what was pressed as a text that matches it", () => {
    for (const one of [press("k", { ctrlKey: true }), press("F8", { shiftKey: true }), press("ArrowUp", { altKey: true }), press("?", { shiftKey: true }), press("S", { shiftKey: true })]) {
      const text = pressText(one, false);
      expect(text).not.toBeNull();
      expect(matches(text ?? "", one, false)).toBe(true);
    }
    expect(pressText(press("Shift", { shiftKey: true }))).toBeNull();
  });
  it("takes AltGr for the character that it writes", () => {
    const altGr = (key: string, windows: boolean) => ({ ...press(key, { ctrlKey: windows, altKey: windows, code: "Digit8" }), getModifierState: () => true });
    for (const windows of [true, false]) {
      expect(matches("[", altGr("[", windows), false)).toBe(true);
      expect(matches("Ctrl+Alt+[", altGr("[", windows), false)).toBe(false);
      expect(pressText(altGr("@", windows), false)).toBe("@");
    }
    // A key that writes nothing is pressed with Ctrl and Alt, whatever the browser calls it.
    expect(matches("Ctrl+Alt+Shift+ArrowUp", { ...press("ArrowUp", { ctrlKey: true, altKey: true, shiftKey: true }), getModifierState: () => true }, false)).toBe(true);
    // Option on a Mac is Alt.
    expect(matches("Alt+N", { ...press("~", { altKey: true, code: "KeyN" }), getModifierState: () => true }, true)).toBe(true);
  });
  it("knows single keys", () => {
    expect(["A", "Shift+S", "Space", "?"].every(isSingle)).toBe(true);
    expect(["Ctrl+A", "F8", "Enter", "Alt+N"].some(isSingle)).toBe(false);
  });
});
