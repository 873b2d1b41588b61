import { expect, test } from "vitest";
import { commands } from "./commands";
import { keyTexts } from "./keyText";

const press = (key: string, more: object = {}) => keyTexts({ key, ctrlKey: false, metaKey: false, altKey: false, shiftKey: false, ...more });

test("a press in words", () => {
  expect(press("g", { ctrlKey: true })).toEqual(["Ctrl+G"]);
  expect(press("G", { metaKey: true, shiftKey: true })).toEqual(["Ctrl+Shift+G"]);
  expect(press(" ")).toEqual(["Space"]);
  expect(press("+", { shiftKey: true })).toEqual(["Shift++", "+"]);
});

test("no key does two things, and none is one that browsers keep, nor Tab", () => {
  const keys = commands.flatMap((command) => command.keys);
  expect(keys.filter((key, at) => keys.indexOf(key) !== at)).toEqual([]);
  for (const kept of ["Ctrl+N", "Ctrl+T", "Ctrl+W", "Alt+ArrowLeft", "Alt+ArrowRight", "Ctrl+Tab", "Tab"]) expect(keys).not.toContain(kept);
});
