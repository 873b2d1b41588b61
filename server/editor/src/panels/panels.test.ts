import { describe, expect, it } from "vitest";
import { apply } from "../document/apply";
import { parseDocument } from "../document/text";
import { type Document, isRefusal, type Json } from "../document/types";
import { jsonText } from "../document/json";
import type { JobEvent, ListedOutput, Problem } from "../service/types";
import type { Span } from "../state/timeline";
import { groupsOf } from "./Add";
import { barAfter } from "./Compare";
import { comparedLabels, pairWords, pictureDifferences, whereWords } from "./compareData";
import { byNode } from "./DifferenceList";
import { freeName } from "../state/saving";
import { matches } from "./galleryData";
import { placeOfPath, placeWords, problemFixes } from "./problemPlaces";
import { readValues, sweepName } from "./sweepValues";
import { seedsFor } from "./takeSeed";
import { ruler, rowsOf, tickWords, timelineView } from "./timelineView";
import { smoothed, thinned } from "./Training";
import { trainingOf } from "./trainings";

function document(text: string): Document {
  const read = parseDocument(text);
  if (!("document" in read)) throw new Error(read.problem);
  return read.document;
}

const SEGA = (scale: string) => `{"weft": 1, "nodes": {"sega": {"type": "sega", "inputs": {"scale": ${scale}}}, "__proto__": {"type": "cfg", "inputs": {}}}}`;

describe("two pictures", () => {
  it("are named by what differs", () => {
    const [a, b] = [document(SEGA("0.0")), document(SEGA("2.0"))];
    const found = pictureDifferences(a, b);
    expect(found.map(whereWords)).toEqual(["sega.scale"]);
    expect(found.map(pairWords)).toEqual(["0.0 and 2.0"]);
    expect(comparedLabels(found, "run 41", "run 42")).toEqual(["scale 0.0", "scale 2.0"]);
    expect(comparedLabels([], "run 41", "run 42")).toEqual(["run 41", "run 42"]);
    expect([...byNode(found).keys()]).toEqual(["sega"]);
  });

  it("have a bar that goes by 2 and by 10 percent", () => {
    expect(barAfter(50, "ArrowLeft", false)).toBe(48);
    expect(barAfter(50, "ArrowRight", true)).toBe(60);
    expect(barAfter(99, "ArrowRight", false)).toBe(100);
    expect(barAfter(50, "a", false)).toBe(100);
    expect(barAfter(50, "B", false)).toBe(0);
    expect(barAfter(50, "x", false)).toBeNull();
  });

  it("are found by word, node or value", () => {
    const output = { node: "save", kind: "image", name: "dome.png", job: "j", finished: 1 } as ListedOutput;
    expect(matches("dome", output, null)).toBe(true);
    expect(matches("sega.scale=2.0", output, document(SEGA("2.0")))).toBe(true);
    expect(matches("sega 7", output, document(SEGA("2.0")))).toBe(false);
  });
});

describe("values of a sweep", () => {
  const int = { name: "seed", type: "int", required: false };
  const float = { name: "scale", type: "float", required: false };
  const text = (values: ReturnType<typeof readValues>) => ("values" in values ? values.values.map((value: Json) => jsonText(value)).join(" ") : values.problem);

  it("are ranges and lists", () => {
    expect(text(readValues("4 to 8", int))).toBe("4 5 6 7 8");
    expect(text(readValues("8 to 4 step 2", int))).toBe("8 6 4");
    expect(text(readValues("0 to 1 step 0.25", float))).toBe("0.0 0.25 0.5 0.75 1.0");
    expect(text(readValues("1, 2, 5", float))).toBe("1.0 2.0 5.0");
    expect(text(readValues("a red circle\na blue one", { name: "text", type: "str", required: true }))).toBe('"a red circle" "a blue one"');
    expect(text(readValues("true, false", { name: "on", type: "bool", required: true }))).toBe("true false");
  });

  it("say what is wrong", () => {
    expect(text(readValues("", int))).toContain("needed");
    expect(text(readValues("1, x", int))).toBe("x is no whole number.");
    expect(text(readValues("0 to 1 step 0.5", int))).toBe("Whole numbers only.");
    expect(text(readValues("0 to 100000", int))).toContain("At most");
    expect(text(readValues("1 to 2 step 0", float))).toBe("The step is more than 0.");
  });

  it("have a name", () => {
    expect(sweepName([{ node: "sega", input: "scale" }, { node: "denoise", input: "seed" }])).toBe("sega.scale by denoise.seed");
  });
});

describe("problems", () => {
  const inside = document('{"weft": 1, "nodes": {"sketch": {"type": "edge", "inputs": {}}, "up": {"type": "upscale_4x", "inputs": {}}}, "definitions": {"edge": {"inputs": {}, "outputs": {}, "nodes": {"canny": {"type": "canny", "inputs": {"lo": 1}}}}}}');
  const problem = (part: Partial<Problem>): Problem => ({ severity: "error", code: "bad_value", node: null, input: null, message: "", ...part });

  it("are placed inside of definitions", () => {
    expect(placeOfPath(inside, "sketch/canny")).toEqual({ place: "edge", trail: ["sketch"], node: "canny" });
    expect(placeOfPath(inside, "sketch/gone")).toBeNull();
    expect(placeOfPath(inside, "constructor")).toBeNull();
    expect(placeOfPath(inside, null)).toBeNull();
    expect(placeWords(problem({ node: "denoise", input: "width" }))).toBe("denoise.width");
    expect(placeWords(problem({}))).toBe("document");
  });

  it("offer edits that end them", () => {
    const [rename, remove] = problemFixes(problem({ code: "unknown_input", node: "sketch/canny", input: "lo", suggestion: "low" }), inside, null);
    expect([rename?.label, remove?.label]).toEqual(["Rename to low", "Remove"]);
    const edit = rename && "edit" in rename ? rename.edit(inside) : { refused: "" };
    if (isRefusal(edit)) throw new Error(edit.refused);
    expect(jsonText(apply(inside, edit).document.definitions?.edge?.nodes.canny?.inputs)).toBe('{"low": 1}');
    expect(problemFixes(problem({ code: "unknown_node_type", node: "up", suggestion: "upscale" }), inside, null).map(({ label }) => label)).toEqual(["Replace by upscale", "Delete, keep the wire"]);
  });
});

describe("a timeline", () => {
  const span = (part: Partial<Span>): Span => ({ node: "n", lane: "cpu", from: 0, to: 1, open: false, expected: false, failed: false, critical: false, ...part });

  it("puts spans that meet into rows", () => {
    const rows = rowsOf([span({ node: "b", from: 0.5, to: 2 }), span({ node: "a" }), span({ node: "c", from: 1, to: 2 })]);
    expect(rows.map((row) => row.map(({ node }) => node))).toEqual([["a", "c"], ["b"]]);
  });

  it("puts the worker's start before the first node", () => {
    const late = timelineView({ spans: [span({ from: 2.6, to: 3 })], worker: { from: -2.6, to: 0 }, seconds: 3, criticalPath: [] });
    expect(late.worker).toEqual({ from: 0, to: 2.6 });
    const early = timelineView({ spans: [span({ from: 0, to: 1, critical: true })], worker: { from: -2, to: 0 }, seconds: 1, criticalPath: ["n"] });
    expect(early.worker).toEqual({ from: 0, to: 2 });
    expect(early.critical).toBe(3);
    expect(early.seconds).toBe(3);
  });

  it("has a ruler with room for its words", () => {
    expect(ruler(14, 760)).toEqual([0, 2, 4, 6, 8, 10, 12, 14]);
    expect(ruler(0, 760)).toEqual([0]);
    expect(tickWords(2, 2)).toBe("2 s");
    expect(tickWords(0.5, 0.5)).toBe("0.5 s");
    expect(tickWords(0.02, 0.01)).toBe("20 ms");
  });
});

describe("a training", () => {
  const report = (step: number, loss: number, more: Partial<JobEvent> = {}): JobEvent => ({ event: "node_report", time: 0, job: "j", node: "train", kind: "train_loss", data: { step, loss, of: 10 }, ...more });

  it("makes curves of reports, each step once", () => {
    const found = trainingOf([report(0, 3), report(1, 2), report(1, 2), report(0, 9, { job: "other" }), report(2, 1, { data: { step: 2, loss: 1, note: "x" } })]);
    expect(found?.curves.get("loss")?.map(({ value }) => value)).toEqual([3, 2, 1]);
    expect([...(found?.curves.keys() ?? [])]).toEqual(["loss"]);
    expect([found?.step, found?.of]).toEqual([2, 10]);
    expect(trainingOf([])).toBeNull();
  });

  it("takes blocks of steps, what is held out, and what was saved", () => {
    const block = (first: number, losses: number[], more: object = {}) => report(0, 0, { kind: "train.steps", data: { step: first + losses.length - 1, of: 9, first, losses, loss: losses.at(-1) ?? 0, learning_rate: 0.1, steps_per_second: 2, seconds_left: 3, ...more } });
    const found = trainingOf([block(1, [5, 4]), report(0, 0, { kind: "train.checkpoint", data: { step: 2, of: 9 } }), report(0, 0, { kind: "train.validation", data: { step: 2, of: 9, validation_loss: 4.5 } }), block(3, [3])]);
    expect(found?.curves.get("loss")).toEqual([{ step: 1, value: 5 }, { step: 2, value: 4 }, { step: 3, value: 3 }]);
    expect([...(found?.curves.keys() ?? [])].toSorted()).toEqual(["learning_rate", "loss", "validation_loss"]);
    expect([found?.step, found?.of, found?.rate, found?.left, found?.checkpoints]).toEqual([3, 9, 2, 3, [2]]);
    expect(trainingOf([block(1, [5], { losses: ["no", null] })])?.curves.get("loss")).toEqual([{ step: 1, value: 5 }]);
  });

  it("is thinned and smoothed", () => {
    const points = Array.from({ length: 1000 }, (_, step) => ({ step, value: step }));
    expect(thinned(points, 10)).toHaveLength(10);
    expect(thinned(points, 10)[0]).toEqual({ step: 49.5, value: 49.5 });
    expect(smoothed([{ step: 0, value: 1 }, { step: 1, value: 0 }], 0.5)).toEqual([{ step: 0, value: 1 }, { step: 1, value: 0.5 }]);
  });
});

describe("files and types", () => {
  it("get a free name", () => {
    expect(freeName("dome", new Set())).toBe("dome copy");
    expect(freeName("dome", new Set(["dome copy"]))).toBe("dome copy 2");
  });

  it("are grouped by category, those used lately first", () => {
    const type = (name: string, category: string) => ({ name, category, version: 1, summary: "", help: "", inputs: [], outputs: [], output: false, resource: "cpu", cache: "", tags: [], origin: "" });
    const types = [type("canny", "image"), type("cfg", "guidance"), type("resize", "image")];
    const groups = groupsOf(types, "", new Map([["cfg", 2], ["resize", 3]]));
    expect(groups.map(({ name, types: list }) => `${name}: ${list.map((one) => one.name).join(" ")}`)).toEqual(["Used lately: resize cfg", "image: canny resize", "guidance: cfg"]);
    expect(groupsOf(types, "cf", new Map())[0]?.types.map(({ name }) => name)).toEqual(["cfg"]);
  });

  it("seeds go to the same node, or to the only place", () => {
    expect([...seedsFor(new Map([["denoise.seed", 4]]), ["denoise.seed", "b.seed"])]).toEqual([["denoise.seed", 4]]);
    expect([...seedsFor(new Map([["draw.seed", 4]]), ["denoise.seed"])]).toEqual([["denoise.seed", 4]]);
    expect(seedsFor(new Map([["draw.seed", 4]]), ["a.seed", "b.seed"]).size).toBe(0);
  });
});
