import { describe, expect, test } from "vitest";
import { fastLayers } from "./fast";

describe("layers of large graphs", () => {
  test("a node stands after all that it takes from", () => {
    const wires = [["a", "b"], ["b", "d"], ["a", "d"], ["c", "d"]] as const;
    const places = fastLayers(["d", "c", "b", "a"], wires);
    for (const [source, target] of wires) expect(places.get(source)?.x).toBeLessThan(places.get(target)?.x ?? 0);
  });
  test("circles and names of what every object has are no harm", () => {
    const places = fastLayers(["__proto__", "constructor", "x"], [["__proto__", "constructor"], ["constructor", "__proto__"], ["x", "constructor"]]);
    expect([...places.keys()]).toEqual(["__proto__", "constructor", "x"]);
    expect([...places.values()].every(({ x, y }) => Number.isFinite(x) && Number.isFinite(y))).toBe(true);
  });
  test("no two nodes share a place", () => {
    const ids = Array.from({ length: 2000 }, (_, at) => `n${at}`);
    const wires = ids.slice(1).map((id, at) => [ids[at >> 1] as string, id] as const);
    const places = fastLayers(ids, wires);
    expect(new Set([...places.values()].map(({ x, y }) => `${x} ${y}`)).size).toBe(2000);
  });
});
