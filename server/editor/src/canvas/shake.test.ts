import { expect, test } from "vitest";
import { shake } from "./shake";

test("to and fro quickly is a shake, a slow drag is none", () => {
  const quick = shake();
  const seen = [0, 40, 0, 40, 0, 40, 0].map((x, at) => quick.move(x, at * 60));
  expect(seen.filter(Boolean)).toHaveLength(1);
  const slow = shake();
  expect([0, 40, 0, 40, 0, 40, 0].map((x, at) => slow.move(x, at * 400)).some(Boolean)).toBe(false);
  const straight = shake();
  expect([0, 40, 80, 120, 160].map((x, at) => straight.move(x, at * 20)).some(Boolean)).toBe(false);
});
