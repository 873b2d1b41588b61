import { expect, test } from "vitest";
import { around, inOrder, meets, nearest, nearestTo, type Box } from "./neighbours";

const box = (x: number, y: number): Box => ({ x, y, width: 100, height: 60 });
const boxes = new Map<string, Box>([
  ["a", box(0, 0)], ["b", box(150, 0)], ["c", box(150, 200)], ["d", box(400, 10)], ["constructor", box(0, 200)],
]);

test("an arrow goes to the nearest card that way", () => {
  expect(nearest(boxes, "a", "right")).toBe("b");
  expect(nearest(boxes, "b", "right")).toBe("d");
  expect(nearest(boxes, "a", "down")).toBe("constructor");
  expect(nearest(boxes, "b", "left")).toBe("a");
  expect(nearest(boxes, "c", "up")).toBe("b");
});

test("there is nothing beyond the outermost card", () => {
  expect(nearest(boxes, "a", "left")).toBeNull();
  expect(nearest(boxes, "a", "up")).toBeNull();
  expect(nearest(boxes, "gone", "up")).toBeNull();
});

test("the order of the run has two ends", () => {
  expect(inOrder(["x", "y"], "x", 1)).toBe("y");
  expect(inOrder(["x", "y"], "y", 1)).toBeNull();
  expect(inOrder(["x", "y"], null, -1)).toBe("y");
  expect(inOrder([], null, 1)).toBeNull();
});

test("boxes: around, meeting, nearest to a point", () => {
  expect(around([box(0, 0), box(150, 200)])).toEqual({ x: 0, y: 0, width: 250, height: 260 });
  expect(around([])).toBeNull();
  expect(meets(box(0, 0), box(99, 59))).toBe(true);
  expect(meets(box(0, 0), box(100, 0))).toBe(false);
  expect(nearestTo(boxes, 420, 20)).toBe("d");
});
