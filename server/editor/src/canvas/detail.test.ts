import { expect, test } from "vitest";
import { detailAt, isBlocks, isBundled, nameSize } from "./detail";

test("four steps by size on the screen", () => {
  expect([1, 0.66, 0.6, 0.34, 0.3, 0.18, 0.12, 0.05].map(detailAt)).toEqual(["full", "full", "near", "near", "block", "block", "far", "far"]);
  expect(isBlocks(detailAt(0.3))).toBe(true);
  expect(isBlocks(detailAt(0.6))).toBe(false);
});

test("a name is at least 11 px on the screen in each step", () => {
  for (const zoom of [0.65, 0.6, 0.5, 0.45, 0.42, 0.35]) expect(nameSize(zoom) * zoom).toBeGreaterThan(10.4);
});

test("threads thinner than half a pixel are bundled", () => {
  expect(isBundled(0.24)).toBe(true);
  expect(isBundled(0.3)).toBe(false);
});
