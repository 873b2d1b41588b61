import { describe, expect, it } from "vitest";
import { Catalogue } from "../catalogue/catalogue";
import type { NodeType } from "../catalogue/types";
import type { Command } from "../keys/commands";
import { parseDocument } from "../document/text";
import type { Document } from "../document/types";
import { useCatalogue } from "../state/catalogue";
import { NO_PLAN } from "../state/plans";
import { rank } from "./CommandList";
import { paragraphs } from "./Help";
import { takenBy } from "./KeySheet";
import { parameterFields, wasThen } from "./Parameters";
import { runDifference } from "./results";
import { planWords } from "./RunButton";

const read = (value: unknown): Document => {
  const found = parseDocument(JSON.stringify(value));
  if (!("document" in found)) throw new Error(found.problem);
  return found.document;
};
const type = (name: string, inputs: readonly Partial<NodeType["inputs"][number]>[]): NodeType => ({
  name,
  version: 1,
  category: "test",
  summary: "",
  help: "",
  inputs: inputs.map((input) => ({ name: "", type: "str", required: false, ...input })),
  outputs: [],
  output: false,
  resource: "cpu",
  cache: "pure",
  tags: [],
  origin: "",
});

describe("rank", () => {
  const of = (label: string, query: string, words = "") => rank({ label, words, group: "Run" }, query);
  it("has what begins so first, then words, then letters in order", () => {
    expect(["Run first", "Go and run", "Prunes"].map((label) => of(label, "run"))).toEqual([0, 1, 2]);
    expect(of("Live", "run")).toBe(3);
    expect(rank({ label: "Save", group: "Files" }, "run")).toBeNull();
    expect(rank({ label: "Save as", group: "Files" }, "svs")).toBe(4);
    expect(of("Do again", "redo", "redo")).toBe(3);
  });
});

describe("takenBy", () => {
  const command = (id: string, keys: string[], where: Command["where"]): Command => ({ id, label: id, group: "", keys, where, run() {} });
  const list = [command("add", ["A"], "canvas"), command("row", ["A"], "outline"), command("run", ["Ctrl+Enter"], "anywhere")];
  it("finds who has a key at the same place", () => {
    expect(takenBy("A", command("new", [], "canvas"), list)?.id).toBe("add");
    expect(takenBy("A", command("new", [], "gallery"), list)).toBeUndefined();
    expect(takenBy("Ctrl+Enter", command("new", [], "gallery"), list)?.id).toBe("run");
    expect(takenBy("A", command("new", [], "anywhere"), list)?.id).toBe("add");
    expect(takenBy("A", command("add", ["A"], "canvas"), list)).toBeUndefined();
  });
});

describe("planWords", () => {
  it("says how much a run would do", () => {
    const plan = { ...NO_PLAN, asked: "known" as const, counts: { run: 4, of: 16 }, seconds: 13, about: {} };
    expect(planWords(plan)).toBe("4 of 16, ≈ 13 s");
    expect(planWords({ ...plan, seconds: null })).toBe("4 of 16");
    expect(planWords({ ...plan, counts: { run: 0, of: 16 } })).toBe("nothing to do");
    expect(planWords({ ...plan, counts: { run: 0, of: 0 } })).toBe("");
    expect(planWords({ ...plan, asked: "failed" })).toBe("");
    expect(planWords({ ...plan, about: null })).toBe("");
  });
});

describe("parameters", () => {
  useCatalogue.setState({ catalogue: new Catalogue([type("encode_prompt", [{ name: "text" }]), type("sega", [{ name: "scale", type: "float", default: 5 }])], "1") });
  const nodes = { prompt: { type: "encode_prompt", inputs: { text: "a star" } }, constructor: { type: "sega" }, gone: { type: "no_such" } };
  it("are those of the document, so far as their nodes are there", () => {
    const document = read({ weft: 1, nodes, parameters: { words: { input: "prompt.text" }, __proto: { input: "constructor.scale" }, lost: { input: "gone.x" } } });
    expect(parameterFields(document).map(({ name, node, input }) => [name, node, input])).toEqual([["words", "prompt", "text"], ["__proto", "constructor", "scale"]]);
  });
  it("are the prompts where the document names none", () => {
    expect(parameterFields(read({ weft: 1, nodes })).map(({ name }) => name)).toEqual(["prompt.text"]);
  });
  it("show what a value was in the last run", () => {
    const then = read({ weft: 1, nodes: { s: { type: "sega", inputs: { scale: 2 } } } });
    const now = read({ weft: 1, nodes: { s: { type: "sega", inputs: { scale: 3.5 } } } });
    const field = { name: "scale", node: "s", input: "scale", type: { name: "scale", type: "float", required: false, default: 5 } };
    expect(wasThen(then, now, field)).toBe("2");
    expect(wasThen(now, now, field)).toBeNull();
    expect(wasThen(read({ weft: 1, nodes: { s: { type: "sega" } } }), now, field)).toBe("5");
    expect(wasThen(null, now, field)).toBeNull();
    expect(wasThen(read({ weft: 1, nodes: {} }), now, field)).toBeNull();
  });
});

describe("runDifference", () => {
  const of = (scale: number | null, more: object = {}) => read({ weft: 1, nodes: { sega: { type: "sega", ...(scale !== null && { inputs: { scale } }) }, ...more }, parameters: { sega_scale: { input: "sega.scale" } } });
  it("says what the picture before had, by the names of the parameters", () => {
    expect(runDifference(of(0), of(2))).toBe("sega_scale 0");
    expect(runDifference(of(null), of(2))).toBe("sega_scale as usual");
    expect(runDifference(of(2), of(2))).toBe("");
    expect(runDifference(null, of(2))).toBe("");
    expect(runDifference(of(2), of(2, { blur: { type: "blur" } }))).toBe("without blur");
    expect(runDifference(of(1, { a: { type: "x" }, b: { type: "x" } }), of(2))).toMatch(/ and 1 more$/);
  });
});

it("joins the lines of a docstring", () => {
  expect(paragraphs("One\nline.\n\n- a\n- b")).toBe("One line.\n\n- a\n- b");
});
