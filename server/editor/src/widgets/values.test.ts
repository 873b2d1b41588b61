import { describe, expect, it } from "vitest";
import { colourOf, typedColour } from "./ColourField";
import { typedJson } from "./JsonField";
import { movedItem } from "./ListField";
import { modelOptions } from "./ModelField";
import { filtered } from "./Picker";
import { freshKey, renamedKey } from "./TableField";
import { sortOf, toSort } from "./UnionField";
import { brushStep, NOTHING, painted, redone, undone } from "./mask/strokes";
import { jsonNumber } from "../document/numbers";
import { withLink } from "./sources";
import { uploadFault } from "./upload";
import { numberText, valueWords } from "./values";
import { textParts, untaughtWords, wordOfSource } from "./words";
import { fixesOf } from "./fixes";
import type { Problem } from "../service/types";
import type { InputType } from "../catalogue/types";

describe("learned words", () => {
  const taught = { words: new Set(["<dome>"]), more: false };
  it("are told apart from plain text", () => {
    expect(textParts("a <dome> and <hat>, 1 < 2 > 1", taught)).toEqual([{ text: "a " }, { text: "<dome>", word: "taught" }, { text: " and " }, { text: "<hat>", word: "untaught" }, { text: ", 1 < 2 > 1" }]);
    expect(untaughtWords("<hat> <hat> <dome>", taught)).toEqual(["<hat>"]);
    expect(untaughtWords("<hat>", { words: new Set(), more: true })).toEqual([]);
  });
  it("are what the help says of a source", () => {
    const help = 'one or more, each "shapes-dome" (ships with Weft; its word is <dome>), a file';
    expect(wordOfSource("shapes-dome", help)).toBe("<dome>");
    expect(wordOfSource("my-file", help)).toBeNull();
  });
});

describe("values", () => {
  it("are told in few words", () => {
    expect(valueWords({ link: "cfg.guidance" })).toBe("cfg.guidance");
    expect(valueWords({ value: { link: "x" } })).toBe("link x");
    expect(valueWords([{ link: "cfg" }, 3])).toBe("cfg, 3");
    expect(valueWords(`sha256:${"ab".repeat(32)}`)).toBe("file abababab");
    expect(valueWords(null)).toBe("none");
    expect(valueWords("x".repeat(200))).toHaveLength(60);
  });
  it("change their kind with what can be kept", () => {
    expect(sortOf(jsonNumber("3", "float") ?? 0)).toBe("float");
    expect(sortOf(3)).toBe("int");
    expect(numberText(toSort("2.5", "float"))).toBe("2.5");
    expect(numberText(toSort(3, "float"))).toBe("3.0");
    expect(toSort("9007199254740993", "int")).toMatchObject({ text: "9007199254740993" });
    expect(toSort(true, "str")).toBe("true");
    expect(toSort(["a", "b"], "str")).toBe("a");
    expect(toSort("x", "list[str]")).toEqual(["x"]);
  });
  it("take links alone or into a list", () => {
    expect(withLink(undefined, "cfg", true)).toEqual([{ link: "cfg" }]);
    expect(withLink([1], "cfg", true)).toEqual([1, { link: "cfg" }]);
    expect(withLink([1, 2], "cfg", true, 0)).toEqual([{ link: "cfg" }, 2]);
    expect(withLink(7, "n", false)).toEqual({ link: "n" });
  });
  it("are moved, renamed and added", () => {
    expect(movedItem([1, 2, 3], 0, 2)).toEqual([2, 3, 1]);
    expect(movedItem([1, 2], 0, 5)).toEqual([1, 2]);
    expect(renamedKey({ a: 1, b: 2 }, "a", "b")).toBeNull();
    expect(Object.keys(renamedKey({ a: 1, b: 2 }, "a", "constructor") ?? {})).toEqual(["constructor", "b"]);
    expect(freshKey({ "0": 1, "1": 2 })).toBe("2");
  });
  it("are typed as JSON and colours", () => {
    expect(typedJson("[1, 2]")).toEqual({ value: [1, 2] });
    expect(typedJson("hello")).toMatchObject({ suggestion: '"hello"' });
    expect(typedJson("{")).toHaveProperty("problem");
    expect(typedColour("0D1550")).toBe("#0d1550");
    expect(typedColour("#abc")).toBe("#aabbcc");
    expect(typedColour("White")).toBe("White");
    expect(colourOf("gray")).toBe("#808080");
    expect(colourOf("constructor")).toBeNull();
  });
});

describe("lists to choose from", () => {
  it("have every typed word, best first", () => {
    const options = [{ key: "1", label: "my dome" }, { key: "2", label: "dome" }, { key: "3", label: "hat", aside: "sd1" }];
    expect(filtered(options, "do").map((one) => one.key)).toEqual(["2", "1"]);
    expect(filtered(options, "sd hat").map((one) => one.key)).toEqual(["3"]);
  });
  it("offer models of the right kind first, and none twice", () => {
    const models = [
      { name: "shapes", kind: "model", family: "sd1", bytes: 11_000_000, bundled: true },
      { name: "own-net", kind: "controlnet", family: "sd1", bytes: 5, bundled: false },
      { name: "shapes-edges", kind: "controlnet", family: "sd1", bytes: 4_000_000, bundled: true },
    ];
    const options = modelOptions(models, ["shapes-edges"], "load_controlnet", "source");
    expect(options.map((one) => one.key)).toEqual(["own-net", "shapes-edges", "shapes"]);
    expect(options[2]).toMatchObject({ group: "Other kinds" });
    expect(modelOptions([], ["shapes-edges"], "load_controlnet", "source")).toHaveLength(1);
  });
});

describe("files and masks", () => {
  it("are refused before they are sent", () => {
    expect(uploadFault({ name: "a.png", size: 10, type: "image/png" })).toBeNull();
    expect(uploadFault({ name: "a.pdf", size: 10, type: "application/pdf" })).toContain("no picture");
    expect(uploadFault({ name: "a.png", size: 40 * 1024 * 1024, type: "image/png" })).toContain("at most 32");
  });
  it("are undone and done again", () => {
    const one = painted(NOTHING, { kind: "invert" });
    expect(redone(undone(one))).toEqual(one);
    expect(undone(NOTHING)).toBe(NOTHING);
    expect(painted(undone(one), { kind: "fill" }).undone).toEqual([]);
    expect(brushStep(1, 1, 100)).toBe(2);
    expect(brushStep(1, -1, 100)).toBe(1);
  });
});

describe("fixes", () => {
  const problem = (code: string, message: string, suggestion?: string): Problem => ({ severity: "error", code, node: "n", input: "x", message, ...(suggestion !== undefined && { suggestion }) });
  const width: InputType = { name: "width", type: "int", required: false, default: 0, range: [0, 8192], help: "" };
  it("are the nearest values, suggestions, or one link less", () => {
    expect(fixesOf(problem("bad_value", "has to be a multiple of 8: 96 or 104"), width, 100).map((fix) => fix.label)).toEqual(["96", "104"]);
    expect(fixesOf(problem("out_of_range", "at most 8192"), width, 9000)).toMatchObject([{ act: "set", value: 8192 }]);
    expect(fixesOf(problem("bad_value", "it is a text"), width, "64")).toMatchObject([{ act: "set", value: 64 }]);
    expect(fixesOf(problem("not_a_choice", "no", "ddim"), { ...width, type: "str", choices: ["ddim", "euler"] }, "dim")).toMatchObject([{ value: "ddim" }]);
    expect(fixesOf(problem("type_mismatch", "no"), width, { link: "a" })).toMatchObject([{ act: "unlink" }]);
    expect(fixesOf(problem("unknown_input", "no", "sigma"), undefined, 3)).toMatchObject([{ act: "rename", to: "sigma" }, { act: "remove" }]);
  });
});
