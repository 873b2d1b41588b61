import { expect, test } from "vitest";
import { prefer, resizePanel, showPanel, togglePanel, togglePanels, understood, usedType, usePreferences } from "./preferences";

test("what cannot be understood is as usual, and the rest is kept", () => {
  const usual = understood(null);
  for (const text of ["", "{", "null", "[]", "7", '"x"', '{"theme": 3, "sizes": [], "open": 1, "keys": {"a": 1}, "used": {}}']) {
    expect(understood(text)).toEqual(usual);
  }
  const said = understood(
    '{"theme": "light", "sizes": {"left": 300, "right": 9, "bottom": "x"}, "wheel": "pan", "singleKeys": false,' +
      ' "keys": {"__proto__": ["Q"], "run.run": [], "x": [1]}, "used": ["a", 2, "b"]}',
  );
  expect(said).toMatchObject({ theme: "light", sizes: { ...usual.sizes, left: 300 }, wheel: "pan", singleKeys: false, used: ["a", "b"] });
  expect(Object.entries(said.keys)).toEqual([["__proto__", ["Q"]], ["run.run", []]]);
});

test("panels come back as they were, with sizes within their bounds", () => {
  prefer(understood(null));
  showPanel("left", "outline");
  togglePanels();
  expect(usePreferences.getState().open).toEqual({ left: null, right: null, bottom: null });
  togglePanels();
  expect(usePreferences.getState().open.right).toBe("inspector");
  togglePanel("right", "inspector");
  expect(usePreferences.getState().open.right).toBe(null);
  resizePanel("left", 5);
  resizePanel("bottom", 5000, 1000);
  expect(usePreferences.getState().sizes).toMatchObject({ left: 200, bottom: 500 });
  resizePanel("left", null);
  expect(usePreferences.getState().sizes.left).toBe(248);
});

test("types that were added are remembered, each once, the newest first", () => {
  prefer({ used: [] });
  for (const name of ["a", "b", "a", ...Array.from({ length: 40 }, (_, at) => `n${at}`)]) usedType(name);
  expect(usePreferences.getState().used.slice(0, 2)).toEqual(["n39", "n38"]);
  expect(usePreferences.getState().used).toHaveLength(30);
});
