import { describe, expect, test } from "vitest";
import { bringAll, laterActs, whenMissing } from "./later";

describe("parts that come later", () => {
  test("an act waits for its module once, and is done at once after that", async () => {
    let loads = 0;
    const acts = laterActs(async () => ({ number: (loads += 1) }));
    const seen: number[] = [];
    acts(({ number }) => void seen.push(number));
    expect(seen).toEqual([]);
    await bringAll();
    expect(seen).toEqual([1]);
    acts(({ number }) => void seen.push(number));
    expect(seen).toEqual([1, 1]);
    expect(loads).toBe(1);
  });
  test("what did not come is asked for again", async () => {
    let loads = 0;
    const acts = laterActs(async () => {
      loads += 1;
      if (loads === 1) throw new Error("away");
      return loads;
    });
    await bringAll();
    await bringAll();
    let seen = 0;
    acts((number) => void (seen = number));
    expect(seen).toBe(2);
  });
  test("an act whose module cannot come says so", async () => {
    let told = 0;
    whenMissing(() => void (told += 1));
    const acts = laterActs(async () => Promise.reject(new Error("away")));
    acts(() => void (told += 10));
    await new Promise((next) => setTimeout(next, 0));
    expect(told).toBe(1);
  });
});
