import { describe, expect, it } from "vitest";
import { understood } from "./preferences";

const usual = understood(null);

describe("what was stored of the preferences", () => {
  it("is as usual where nothing can be understood", () => {
    for (const text of ["", "{", "null", "[]", "7", '"dark"', '{"sizes": 7, "keys": [1], "open": null, "used": {}}']) expect(understood(text)).toEqual(usual);
  });
  it("is taken where it fits, one by one", () => {
    const said = understood(JSON.stringify({ theme: "light", wheel: "pan", singleKeys: false, sizes: { left: 300, right: 9000, bottom: "7" }, open: { left: "outline", right: null }, used: ["cfg", 7], keys: { "run.run": ["F9"], broken: "F8", none: [] } }));
    expect(said).toMatchObject({ theme: "light", wheel: "pan", singleKeys: false, sizes: { left: 300, right: 296, bottom: 168 }, open: { left: "outline", right: null, bottom: null }, used: ["cfg"], keys: { "run.run": ["F9"], none: [] } });
    expect(Object.hasOwn(said.keys, "broken")).toBe(false);
  });
  it("pollutes nothing", () => {
    const said = understood('{"keys": {"__proto__": ["F1"], "constructor": ["F2"]}, "sizes": {"__proto__": {"left": 400}}, "theme": "toString"}');
    expect(said.theme).toBe("system");
    expect(said.sizes).toEqual(usual.sizes);
    expect(({} as Record<string, unknown>)["0"]).toBeUndefined();
    expect(Object.hasOwn(said.keys, "constructor")).toBe(true);
  });
});
