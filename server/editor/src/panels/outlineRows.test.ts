import { describe, expect, it } from "vitest";
import { Catalogue } from "../catalogue/catalogue";
import type { NodeType } from "../catalogue/types";
import { parseDocument } from "../document/text";
import type { Document } from "../document/types";
import { outlineRows, parseQuery, rowAfterKey, type OutlineOptions } from "./outlineRows";
import { sharedInputs, sharedValue } from "./InspectSeveral";
import { freeName } from "./acts";
import { whySentence } from "./why";

const type = (name: string, inputs: [string, string][], output: string): NodeType => ({
  name, version: 1, category: "x", summary: `makes ${output}`, help: "", inputs: inputs.map(([input, kind]) => ({ name: input, type: kind, required: false, default: 1, help: "" })),
  outputs: [{ name: "out", type: output }], output: false, resource: "cpu", cache: "", tags: [], origin: "",
});
const catalogue = new Catalogue([type("load", [["source", "str"]], "Model"), type("draw", [["model", "Model"], ["steps", "int"]], "Image"), type("save", [["image", "Image"]], "str")]);

function read(json: object): Document {
  const found = parseDocument(JSON.stringify(json));
  if (!("document" in found)) throw new Error(found.problem);
  return found.document;
}
const doc = read({
  weft: 1,
  nodes: {
    save: { type: "save", inputs: { image: { link: "draw" } } },
    draw: { type: "draw", inputs: { model: { link: "model" }, steps: 25 } },
    model: { type: "load", inputs: { source: "shapes" } },
    use: { type: "sketch" },
  },
  definitions: { sketch: { nodes: { inner: { type: "load" } }, outputs: {} } },
  ui: { "#groups": { g: { name: "Keep", x: 0, y: 0, width: 9, height: 9, nodes: ["draw", "save"] } } },
});
const rows = (find = "", more: Partial<OutlineOptions> = {}) =>
  outlineRows(doc, null, catalogue, { turned: new Set(), find: parseQuery(find), stateOf: (_, id) => (id === "draw" ? "will run" : "from disk"), changedAt: (_, id, input) => id === "draw" && input === "steps", ...more });
const keys = (find = "", more: Partial<OutlineOptions> = {}) => rows(find, more).map((row) => row.key);

describe("rows of the outline", () => {
  it("stand in the order of the run, groups and definitions open", () => {
    expect(keys()).toEqual(["model", "use", "use/inner", "#group/g", "draw", "save"]);
    expect(rows().map((row) => row.depth)).toEqual([0, 0, 1, 0, 1, 1]);
  });
  it("open to a row per input, with values and defaults", () => {
    const found = rows("", { turned: new Set(["draw", "#group/none"]) });
    expect(found.filter((row) => row.kind === "input").map((row) => [row.key, row.value, row.fallback])).toEqual([["draw.model", { link: "model" }, 1], ["draw.steps", 25, 1]]);
    expect(keys("", { turned: new Set(["#group/g"]) })).not.toContain("draw");
  });
  it("say their place among their siblings", () => {
    expect(rows().map((row) => [row.key, row.position, row.of])).toContainEqual(["save", 2, 2]);
  });
  it("are found by word, state, type, what they take, change and group", () => {
    expect(keys("shapes")).toEqual(["model", "model.source"]);
    expect(keys("state:run")).toEqual(["#group/g", "draw"]);
    expect(keys('state:"will run"')).toEqual(["#group/g", "draw"]);
    expect(keys("type:load")).toEqual(["model", "use", "use/inner"]);
    expect(keys("type:image")).toEqual(["#group/g", "draw"]);
    expect(keys("takes:model")).toEqual(["#group/g", "draw"]);
    expect(keys("changed:steps")).toEqual(["#group/g", "draw"]);
    expect(keys("group:keep save")).toEqual(["#group/g", "save"]);
    expect(keys("nothing-like-it")).toEqual([]);
  });
  it("are walked by the keys of a tree", () => {
    const all = rows();
    const at = (key: string) => all.findIndex((row) => row.key === key);
    expect(rowAfterKey(all, at("use/inner"), "ArrowLeft")).toEqual({ to: at("use") });
    expect(rowAfterKey(all, at("use"), "ArrowLeft")).toEqual({ turn: "use" });
    expect(rowAfterKey(all, at("model"), "ArrowRight")).toEqual({ turn: "model" });
    expect(rowAfterKey(all, at("use"), "ArrowRight")).toEqual({ to: at("use/inner") });
    expect(rowAfterKey(all, 0, "End")).toEqual({ to: all.length - 1 });
    expect(rowAfterKey(all, 0, "x")).toBeNull();
  });
  it("end where definitions hold themselves", () => {
    const ring = read({ weft: 1, nodes: { a: { type: "r" } }, definitions: { r: { nodes: { again: { type: "r" } }, outputs: {} } } });
    expect(outlineRows(ring, null, catalogue, { turned: new Set(), find: null, stateOf: () => "", changedAt: () => false }).length).toBeLessThan(20);
  });
  it("are quick for a thousand nodes", () => {
    const nodes: Record<string, object> = {};
    for (let at = 0; at < 1000; at += 1) nodes[`n${at}`] = { type: "draw", inputs: at > 0 ? { model: { link: `n${at - 1}` } } : {} };
    expect(outlineRows(read({ weft: 1, nodes }), null, catalogue, { turned: new Set(), find: parseQuery("n99"), stateOf: () => "", changedAt: () => false }).length).toBeGreaterThan(10);
  });
});

describe("the inspector", () => {
  it("shares inputs of one name and type", () => {
    const draw = catalogue.get("draw");
    expect(sharedInputs([draw, catalogue.get("load")])).toEqual([]);
    expect(sharedInputs([draw, draw]).map((input) => input.name)).toEqual(["model", "steps"]);
    expect(sharedInputs([draw, undefined])).toEqual([]);
    expect(sharedValue([1, 1])).toEqual({ value: 1, mixed: false });
    expect(sharedValue([1, undefined])).toMatchObject({ mixed: true });
  });
  it("names parameters and says why a node ran again", () => {
    expect(freeName([], "a.seed")).toBe("seed");
    expect(freeName(["seed"], "a.seed")).toBe("a_seed");
    expect(freeName(["seed", "a_seed"], "a.seed")).toBe("a_seed_2");
    expect(whySentence([{ what: "input", input: "scale", was: "0.0", now: "2.0" }], undefined)).toBe("It ran again: scale 0.0 is now 2.0.");
    expect(whySentence(undefined, undefined)).toBeNull();
  });
});
