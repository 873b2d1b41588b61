import { expect, test } from "vitest";
import { pushed, type Grown } from "./push";

const card = (x: number, y: number, before: number, height = before): Grown => ({ x, y, width: 100, height, before });

test("what stands below a card that grew goes down, and what is below that; nothing else moves", () => {
  const cards = new Map([
    ["grew", card(0, 0, 80, 130)],
    ["below", card(50, 90, 60)],
    ["further", card(90, 160, 60)],
    ["beside", card(300, 90, 60)],
    ["far", card(0, 900, 60)],
  ]);
  expect([...pushed(cards)]).toEqual([["below", 48], ["further", 46]]);
});

test("cards that overlap because they were put so stay, and without growth nothing is asked", () => {
  expect(pushed(new Map([["a", card(0, 0, 80, 130)], ["b", card(0, 40, 60)]])).size).toBe(0);
  expect(pushed(new Map([["a", card(0, 0, 80)], ["b", card(0, 40, 60)]])).size).toBe(0);
});
