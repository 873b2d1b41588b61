import { expect, test } from "vitest";
import { interpolateZoom } from "./viewWays";

const near = (found: readonly number[], wanted: readonly number[]) => found.forEach((value, at) => expect(value).toBeCloseTo(wanted[at] ?? NaN, 6));

test("a way begins and ends at its views", () => {
  for (const [from, to] of [[[0, 0, 100], [50, -20, 400]], [[5, 5, 100], [5, 5, 100]], [[0, 1, 100], [10, 3, 100 + 1e-9]]] as const) {
    near(interpolateZoom(from, to)(0), from);
    near(interpolateZoom(from, to)(1), to);
  }
});

test("without a change of width it is straight; with one, each step widens by the same factor", () => {
  near(interpolateZoom([0, 0, 100], [40, 80, 100])(0.25), [10, 20, 100]);
  near(interpolateZoom([0, 0, 100], [0, 0, 400])(0.5), [0, 0, 200]);
});

test("the point that both views show at the same place stays there on the way", () => {
  const way = interpolateZoom([0, 0, 100], [30, 0, 400]);
  const fixed = -10; // (fixed - x) / width is -0.1 in both
  for (const at of [0, 0.3, 0.8, 1]) {
    const [x, , width] = way(at);
    expect((fixed - x) / width).toBeCloseTo(-0.1, 6);
  }
});
