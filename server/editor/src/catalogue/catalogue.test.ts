import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { makeDefinition } from "../document/definitions";
import { connect, insertOnWire, pin, removeNodes } from "../document/edits";
import { inputOf } from "../document/graph";
import { jsonText } from "../document/json";
import { fixture, testCatalogue } from "../document/testing/fixture";
import { edited } from "../document/testing/sequences";
import { parseDocument } from "../document/text";
import type { Document } from "../document/types";
import { Catalogue } from "./catalogue";
import { family, letterOf, shape } from "./families";
import { gaugeRange, pinnedAtFirst, pinnedOn, restOf } from "./pins";
import { search } from "./search";
import { fits, learnKinds, parseType, takesText, typeText, whyNot } from "./typeexpr";

const catalogue = testCatalogue();

function parsed(value: object): Document {
  const read = parseDocument(JSON.stringify({ weft: 1, ...value }));
  if ("problem" in read) throw new Error(read.problem);
  return read.document;
}

function sega(): Document {
  const read = parseDocument(readFileSync(new URL("../../../../graphs/examples/sega.json", import.meta.url), "utf8"));
  if ("problem" in read) throw new Error(read.problem);
  return read.document;
}

function input(type: string, name: string) {
  const found = catalogue.get(type)?.inputs.find((one) => one.name === name);
  if (!found) throw new Error(`${type}.${name}`);
  return found;
}

describe("types", () => {
  const { inputs, fits: table } = fixture();
  for (const [output, fitting] of Object.entries(table)) {
    test(`${output} fits what the engine says`, () => {
      expect(inputs.filter((one) => fits(output, one))).toEqual(fitting);
    });
  }

  test("every type is written as it was read", () => {
    for (const text of inputs) expect(typeText(parseType(text))).toBe(text);
  });

  test("why not, in words", () => {
    expect(whyNot("Image", "Conditioning")).toBe("Image, not Conditioning");
    expect(whyNot("int", "float")).toBe("");
  });

  test("hue and shape", () => {
    expect([family("list[Guidance]"), shape("list[Guidance]")]).toEqual(["guidance", "plus"]);
    expect([family("ControlNet"), shape("ControlNet")]).toEqual(["model", "hole"]);
    expect([family("Trajectory"), shape("Trajectory")]).toEqual(["latents", "diamond-hole"]);
    expect([family("Image | Latents"), shape("any"), shape("T")]).toEqual(["image", "ring", "ring"]);
    expect([family("Upscaler"), shape("Upscaler"), letterOf("Upscaler")]).toEqual(["value", "letter", "U"]);
    expect([shape('"auto" | "near"'), shape("bool"), shape("int"), shape("Files")]).toEqual(["lying-bar", "switch", "bar", "sheet"]);
  });
});

describe("wiring", () => {
  const graph = parsed({
    nodes: {
      seeds: { type: "map_over", inputs: { items: [1, 2] } }, images: { type: "map_over", inputs: { items: [{ link: "image" }] } },
      image: { type: "load_image", inputs: { path: "a.png" } }, model: { type: "load_model" }, draw: { type: "denoise" }, cfg: { type: "cfg" },
    },
  });

  test("a letter is what is wired to its node", () => {
    expect(catalogue.whyNotLink(graph, null, { node: "images" }, { node: "draw", input: "seed" })).toBe("Image, not int");
    expect(catalogue.whyNotLink(graph, null, { node: "seeds" }, { node: "draw", input: "seed" })).toBeNull();
  });

  test("a link is added to a list, and refused with its reason elsewhere", () => {
    const one = edited(graph, connect(graph, null, { node: "cfg" }, { node: "draw", input: "guidance" }, catalogue));
    expect(jsonText(inputOf(one, null, "draw", "guidance"))).toBe('[{"link": "cfg"}]');
    expect(connect(graph, null, { node: "image" }, { node: "draw", input: "model" }, catalogue)).toEqual({ refused: "Image, not Model" });
    expect(connect(one, null, { node: "draw" }, { node: "cfg", input: "prompt" }, catalogue)).toEqual({ refused: "draw needs cfg: this would make a circle." });
    expect(catalogue.bestInput(graph, null, { node: "model" }, "draw")).toBe("model");
  });

  test("a node that is deleted with its wires kept passes on what went through it", () => {
    const before = parsed({ nodes: { a: { type: "load_image" }, b: { type: "blur", inputs: { image: { link: "a" } } }, c: { type: "save_image", inputs: { image: { link: "b" } } } } });
    const through = catalogue.get("blur") ? edited(before, removeNodes(before, null, ["b"], { keepWires: catalogue })) : before;
    if (catalogue.get("blur")) expect(jsonText(inputOf(through, null, "c", "image"))).toBe('{"link": "a"}');
    expect(insertOnWire(before, null, { node: "c", input: "name" }, "a", catalogue)).toEqual({ refused: "c.name is not linked." });
  });

  test("a definition is a type: what it takes and gives is what is inside", () => {
    const document = sega();
    const made = edited(document, makeDefinition(document, null, ["prompt", "cfg"], "guided"));
    const type = catalogue.typeOf(made, "guided");
    expect(new Set(type?.inputs.map((one) => `${one.name} ${one.type}`))).toContain("model Model");
    expect(type?.outputs).toEqual([{ name: "cfg", type: "Guidance" }]);
  });
});

describe("cards", () => {
  test("what is pinned at first, and what is said in the quiet line", () => {
    const document = sega();
    expect(pinnedAtFirst(document, null, "draw", catalogue)).toContain("seed");
    expect(pinnedOn(document, null, "more_star", catalogue)).toContain("scale");
    expect(restOf(document, null, "more_star", catalogue).map((one) => one.name)).not.toContain("scale");
    const unpinned = edited(document, pin(document, null, "more_star", "scale", false));
    expect(pinnedOn(unpinned, null, "more_star", catalogue)).not.toContain("scale");
    expect(restOf(document, null, "more_star", catalogue).map((one) => one.name)).toContain("threshold");
    const pinned = edited(document, pin(document, null, "more_star", "threshold", true));
    expect(restOf(pinned, null, "more_star", catalogue).map((one) => one.name)).not.toContain("threshold");
  });

  test("the gauge is over the range, or over what is usual of a wide one", () => {
    expect(gaugeRange(input("controlnet", "start"))).toEqual([0, 1]);
    const [low, high] = gaugeRange(input("sega", "scale")) ?? [];
    expect(low).toBe(0);
    expect(high).toBeLessThan(100);
  });
});

describe("search", () => {
  const names = (query: string, used?: Map<string, number>) => search(query, catalogue.all, used ? { used } : {}).map((hit) => hit.type.name);

  test("prefix first, then letters in order, then the summary", () => {
    expect(names("sg").slice(0, 2).sort()).toEqual(["sag", "sega"]);
    expect(names("deno")[0]).toBe("denoise");
    expect(names("save im")[0]).toBe("save_image");
    expect(names("arxiv").length).toBeGreaterThan(0);
    expect(search("sg", catalogue.all)[0]?.matched.length).toBe(2);
    expect(names("zzzz")).toEqual([]);
  });

  test("used before breaks ties", () => {
    const plain = names("load_");
    const last = plain.at(-1) ?? "";
    expect(names("load_", new Map([[last, 1]]))[0]).toBe(last);
  });
});

describe("what the server says of types", () => {
  const limited = new Catalogue(catalogue.all.map((type) => (type.name !== "during" ? type : {
    ...type,
    inputs: type.inputs.map((one) => (one.name === "technique" ? { ...one, variables: { T: ["Guidance", "Control"] } } : one)),
    outputs: type.outputs.map((one) => ({ ...one, variables: { T: ["Guidance", "Control"] } })),
  })));
  const document = parsed({ nodes: { model: { type: "load_model" }, cfg: { type: "cfg" }, window: { type: "during" } } });

  test("a letter takes what it may stand for, and no more", () => {
    const to = { node: "window", input: "technique" };
    expect(limited.whyNotLink(document, null, { node: "cfg", output: null }, to)).toBeNull();
    expect(limited.whyNotLink(document, null, { node: "model", output: null }, to)).toBe("Model, not Guidance or Control");
    expect(takesText({ type: "list[T]", variables: { T: ["Guidance", "Control"] } })).toBe("list[Guidance | Control]");
    expect(takesText({ type: "T", variables: { T: [] } })).toBe("T");
  });

  test("names go together as its table says", () => {
    expect(fits("Raster", "Image")).toBe(false);
    learnKinds({ Raster: { fits: ["Raster", "Image"] } });
    expect([fits("Raster", "Image"), fits("Image", "Raster"), fits("int", "float")]).toEqual([true, false, true]);
  });

  test("an output named and the same one not named is one output, and one input, of a definition", () => {
    const both = parsed({ nodes: {
      model: { type: "load_model" },
      prompt: { type: "encode_prompt", inputs: { model: { link: "model" }, text: "a" } },
      other: { type: "encode_prompt", inputs: { model: { link: "model.model" }, text: "b" } },
      cfg: { type: "cfg", inputs: { prompt: { link: "prompt" }, negative: { link: "other" } } },
      draw: { type: "denoise", inputs: { model: { link: "model" }, guidance: [{ link: "cfg" }, { link: "cfg.guidance" }] } },
    } });
    const made = edited(both, makeDefinition(both, null, ["prompt", "other", "cfg"], "guided", catalogue));
    expect(Object.keys(made.definitions?.["guided"]?.outputs ?? {})).toEqual(["cfg"]);
    expect(Object.keys(made.definitions?.["guided"]?.inputs ?? {})).toEqual(["model"]);
    expect(jsonText(inputOf(made, null, "draw", "guidance"))).toBe('[{"link": "guided.cfg"}, {"link": "guided.cfg"}]');
  });
});
