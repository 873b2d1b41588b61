import { expect, test } from "vitest";
import { bundles, standsOut, strength, type BlockThread } from "./blocks";

const thread = (source: string, target: string, y: number): BlockThread => ({ path: "", family: "image", source, target, from: [0, y], to: [100, y] });

test("threads between the same groups become one, those within a group go", () => {
  const groups = new Map([["a", "g"], ["b", "g"], ["c", "h"], ["d", "h"]]);
  const found = bundles([thread("a", "c", 0), thread("b", "d", 20), thread("a", "b", 5), thread("x", "c", 7)], groups);
  expect(found).toHaveLength(2);
  expect(found[0]).toEqual({ family: "image", from: [0, 10], to: [100, 10], count: 2 });
});

test("a node named like a group is not that group", () => {
  expect(bundles([thread("a", "c", 0), thread("g", "c", 9)], new Map([["a", "g"]]))).toHaveLength(2);
});

test("what is to be done is stronger than what is settled", () => {
  expect(strength("will-run")).toBe(0.8);
  expect(strength("disk")).toBe(0.36);
  expect(strength("muted")).toBe(0.16);
  expect(standsOut("failed")).toBe("failed");
  expect(standsOut("done")).toBeNull();
});
