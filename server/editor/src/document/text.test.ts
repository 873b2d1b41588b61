import { readFileSync, readdirSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { jsonText, readJson } from "./json";
import { JsonNumber, isInteger, jsonNumber, numberOf, pythonFloat, shownNumber } from "./numbers";
import { keysOf } from "./objects";
import { documentText, emptyDocument, parseDocument } from "./text";

const EXAMPLES = new URL("../../../../graphs/examples/", import.meta.url);

function parsed(text: string) {
  const read = parseDocument(text);
  if ("problem" in read) throw new Error(read.problem);
  return read.document;
}

function problemOf(text: string): string {
  const read = parseDocument(text);
  return "problem" in read ? read.problem : "";
}

describe("text", () => {
  for (const name of readdirSync(EXAMPLES).filter((one) => one.endsWith(".json"))) {
    test(`${name} comes out as Weft wrote it`, () => {
      const text = readFileSync(new URL(name, EXAMPLES), "utf8");
      expect(documentText(parsed(text))).toBe(text);
    });
  }

  test("numbers keep their text: floats without a fraction, 64 bits, exponents", () => {
    const numbers = "[7, 7.0, -0.0, 1e-05, 9223372036854775807, 18446744073709551615, 1.50, 1e+16, 0.1, -3]";
    const read = readJson(numbers);
    expect("value" in read && jsonText(read.value)).toBe(numbers);
  });

  test("keys stay in the order of the file, numbers among them", () => {
    const text = documentText(parsed('{"weft": 1, "nodes": {}, "parameters": {"10": {"input": "a.b"}, "9": {"input": "a.c"}}, "ui": {"b": 1, "2": 2, "1": 3}}'));
    expect(text.indexOf('"10"')).toBeLessThan(text.indexOf('"9"'));
    expect(text).toContain('{"b": 1, "2": 2, "1": 3}');
  });

  test("ids of the kind of __proto__ are plain ids", () => {
    const document = parsed('{"weft": 1, "nodes": {"__proto__": {"type": "cfg"}, "constructor": {"type": "sega"}, "toString": {"type": "a"}}}');
    expect(keysOf(document.nodes)).toEqual(["__proto__", "constructor", "toString"]);
    expect(document.nodes["__proto__"]?.type).toBe("cfg");
    expect(({} as { type?: string }).type).toBeUndefined();
    expect(document.nodes["hasOwnProperty"]).toBeUndefined();
  });

  test.each([
    ['{"weft": 1,\n "nodes": {"a": 1, "a": 2}}', 'Line 2, column 20: the key "a" appears twice in one object.'],
    ['{"weft": 1, "nodes": {"a": NaN}}', "Line 1, column 28: NaN is not JSON; numbers are finite."],
    ['{"weft": 1e999}', "Line 1, column 10: the number 1e999 is too large for a 64-bit float."],
    ['{"weft": 18446744073709551616}', "Line 1, column 10: the integer 18446744073709551616 does not fit 64 bits."],
    ['{"weft": 1', "Line 1, column 11: not JSON: expecting ',' delimiter."],
    ["", "The document is empty."],
    ["[1]", "A workflow is an object, not a list."],
    ['{"weft": 2, "nodes": {}}', "The document has format 2, made by a newer weft; this one reads 1."],
    ['{"weft": 1}', 'There is no "nodes" in the document.'],
    [`${"[".repeat(65)}${"]".repeat(65)}`, "The document nests brackets more than 64 deep."],
    ['{"weft": 1, "nodes": {"a": {"type": "x", "inputs": {"y": {"link": "b", "z": 1}}}}}', 'The input cannot be read: a link has no key "z"; a literal that looks like one is {"value": ...}.'],
    ['"\\ud800"', "Line 1, column 1: half of a surrogate pair stands alone; it is not text."],
  ])("%s is refused", (text, sentence) => {
    expect(problemOf(text)).toBe(sentence);
  });

  test("10,000 nodes are read fast, one more is too many", () => {
    const nodes = Array.from({ length: 10_000 }, (_, index) => `"n${index}": {"type": "cfg", "inputs": {"prompt": {"link": "n${Math.max(0, index - 1)}"}, "scale": 3.0}}`);
    const started = performance.now();
    const document = parsed(`{"weft": 1, "nodes": {${nodes.join(", ")}}}`);
    expect(performance.now() - started).toBeLessThan(2000);
    expect(keysOf(document.nodes).length).toBe(10_000);
    expect(problemOf(`{"weft": 1, "nodes": {${nodes.join(", ")}, "more": {"type": "cfg"}}}`)).toBe("The document has 10,001 nodes; at most 10,000 are allowed.");
  });

  test("an empty document", () => {
    expect(documentText(emptyDocument())).toBe('{\n  "weft": 1,\n  "nodes": {}\n}\n');
  });
});

describe("numbers", () => {
  test("what is typed becomes a number of the kind", () => {
    expect(String(jsonNumber("7", "float"))).toBe("7.0");
    expect(jsonNumber("7,5", "float")).toBe(7.5);
    expect(jsonNumber("7", "int")).toBe(7);
    expect(jsonNumber("1e3", "int")).toBe(1000);
    expect(String(jsonNumber("9223372036854775807", "int"))).toBe("9223372036854775807");
    expect(jsonNumber("18446744073709551616", "int")).toBeNull();
    expect(jsonNumber("five", "float")).toBeNull();
    expect(jsonNumber("", "int")).toBeNull();
    expect(jsonNumber("7.5", "int")).toBeNull();
  });

  test("what a reader sees and what sums take", () => {
    expect(shownNumber(new JsonNumber("7.0"))).toBe("7");
    expect(shownNumber(new JsonNumber("9223372036854775807"))).toBe("9223372036854775807");
    expect(numberOf(new JsonNumber("7.0"))).toBe(7);
    expect(isInteger(new JsonNumber("7.0"))).toBe(false);
    expect(isInteger(new JsonNumber("9223372036854775807"))).toBe(true);
  });

  test("floats as Python writes them", () => {
    const texts = [0.1, 1e-5, 1.5e-7, 123456789012345680, 1e16, 1e15, 1e100, 0.0001, -2.5, 5e-324];
    expect(texts.map(pythonFloat)).toEqual(["0.1", "1e-05", "1.5e-07", "1.2345678901234568e+17", "1e+16", "1000000000000000.0", "1e+100", "0.0001", "-2.5", "5e-324"]);
  });
});
