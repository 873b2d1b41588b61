import { describe, expect, it } from "vitest";
import { dragNumber, gaugeAt, multiplesAround, rangeWords, readNumber, showNumber, sliderNumber, stepNumber, type NumberRules } from "./numbers";
import { numberJson, numberText } from "./values";

const float = (range: NumberRules["range"], gauge: NumberRules["gauge"] = null): NumberRules => ({ whole: false, optional: false, range, gauge });
const int = (range: NumberRules["range"], gauge: NumberRules["gauge"] = null): NumberRules => ({ whole: true, optional: false, range, gauge });
const SEED = int([0, 9223372036854775807]);

describe("typed numbers", () => {
  it("takes a comma for a point, and signs and exponents", () => {
    expect(readNumber("0,8", float([0, 1]))).toEqual({ text: "0.8" });
    expect(readNumber(" −2.50 ", float(null))).toEqual({ text: "-2.5" });
    expect(readNumber("1e-3", float(null))).toEqual({ text: "0.001" });
    expect(readNumber("1e3", int(null))).toEqual({ text: "1000" });
    expect(readNumber("1 000", int(null))).toEqual({ text: "1000" });
  });
  it("keeps 64-bit integers to the last digit", () => {
    expect(readNumber("9223372036854775807", SEED)).toEqual({ text: "9223372036854775807" });
    expect(readNumber("9223372036854775808", SEED)).toMatchObject({ nearest: "9223372036854775807" });
    expect(stepNumber("9007199254740993", SEED, 1, 1)).toBe("9007199254740994");
    expect(stepNumber("9223372036854775807", SEED, 1, 1)).toBe("9223372036854775807");
    expect(numberText(numberJson("9223372036854775807", true))).toBe("9223372036854775807");
  });
  it("keeps floats floats and integers integers", () => {
    expect(readNumber("3", float(null))).toEqual({ text: "3.0" });
    expect(numberText(numberJson("3.0", false))).toBe("3.0");
    expect(numberText(numberJson("3", true))).toBe("3");
  });
  it("says what is wrong, with the nearest that is not", () => {
    expect(readNumber("14", float([0, 10]))).toEqual({ problem: "It has to be 0 to 10.", nearest: "10.0" });
    expect(readNumber("5.7", int([1, 5]))).toMatchObject({ nearest: "5" });
    expect(readNumber("5.4", int([1, 9]))).toMatchObject({ nearest: "5" });
    for (const text of ["", "-", ".", "e5", "1e9999", "0x10", "NaN", "Infinity", "1,2,3", "__proto__"]) expect(readNumber(text, float(null))).toHaveProperty("problem");
    expect(readNumber("", { ...int(null), optional: true })).toEqual({ none: true });
  });
});

describe("steps and drags", () => {
  it("adds tenths without the dust of doubles", () => {
    let text = "0.0";
    for (let at = 0; at < 10; at += 1) text = stepNumber(text, float([0, 10], [0, 4]), 1, 1);
    expect(text).toBe("1.0");
  });
  it("has steps by the gauge, ten times with Shift, a tenth with Alt", () => {
    const rules = float([0, 1], [0, 1]);
    expect(stepNumber("0.8", rules, 1, 1)).toBe("0.81");
    expect(stepNumber("0.8", rules, -1, 10)).toBe("0.7");
    expect(stepNumber("0.8", rules, 1, 0.1)).toBe("0.801");
    expect(stepNumber("25", int([1, 1000], [0, 120]), 1, 0.1)).toBe("26");
  });
  it("stops at the range, and comes back from beyond it step by step", () => {
    expect(stepNumber("0.95", float([0, 1], [0, 1]), 1, 10)).toBe("1.0");
    expect(stepNumber("14", float([0, 10], [0, 10]), 1, 1)).toBe("14.0");
    expect(dragNumber("0.5", float([0, 1], [0, 1]), 9000, 1)).toBe("1.0");
    expect(dragNumber("0.5", float([0, 1], [0, 1]), -20, 1)).toBe("0.4");
  });
  it("goes in wider steps over wide ranges of integers", () => {
    expect(dragNumber("512", int([0, 16384]), 20, 1)).toBe("612");
    expect(dragNumber("7", int([0, 1000], [0, 120]), 10, 1)).toBe("12");
  });
});

describe("what is shown", () => {
  it("has as many places as its steps", () => {
    expect(showNumber("0.8", float([0, 1], [0, 1]))).toBe("0.80");
    expect(showNumber("2", float([0, 1000], [0, 20]))).toBe("2.0");
    expect(showNumber("0.123456", float([0, 1], [0, 1]))).toBe("0.123456");
    expect(showNumber("25", int(null))).toBe("25");
  });
  it("has a gauge, a slider and words of its range", () => {
    expect(gaugeAt("2.0", [0, 20])).toBeCloseTo(0.1);
    expect(gaugeAt("50", [0, 20])).toBe(1);
    expect(sliderNumber(0.5, float([0, 1000], [0, 20]))).toBe("10.0");
    expect(sliderNumber(0.33, int([1, 10], [0, 10]))).toBe("3");
    expect(rangeWords({ range: [0, 1000] })).toBe("0 to 1000");
    expect(rangeWords({ range: [1, null] })).toBe("at least 1");
    expect(rangeWords({ range: [0, 9223372036854775807] })).toBe("0 to 2⁶³ − 1");
    expect(multiplesAround("100", 8)).toEqual(["96", "104"]);
  });
});
