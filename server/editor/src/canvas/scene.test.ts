import { expect, test } from "vitest";
import { Catalogue } from "../catalogue/catalogue";
import { setInput } from "../document/edits";
import { apply } from "../document/apply";
import { graphOf } from "../document/graph";
import { parseDocument } from "../document/text";
import { isRefusal, type Document } from "../document/types";
import { SceneMaker } from "./scene";

const node = (name: string, inputs: object[], outputs: object[]) => ({ name, version: 1, category: "x", summary: "", help: "", inputs, outputs, output: false, resource: "cpu", cache: "pure", tags: [], origin: "" });
const catalogue = new Catalogue([
  node("make", [{ name: "seed", type: "int", required: false, default: 0, help: "" }], [{ name: "image", type: "Image" }]),
  node("join", [{ name: "images", type: "list[Image]", required: true, many: true, help: "" }], [{ name: "image", type: "Image" }]),
] as never);

const text = '{"weft": 1, "nodes": {"a": {"type": "make", "inputs": {"seed": 3}}, "constructor": {"type": "make"}, "all": {"type": "join", "inputs": {"images": [{"link": "a"}, {"link": "constructor.image"}]}}, "gone": {"type": "nowhere", "inputs": {"image": {"link": "all"}}}}}';

function documentOf(source: string): Document {
  const read = parseDocument(source);
  if (!("document" in read)) throw new Error(read.problem);
  return read.document;
}

function make(maker: SceneMaker, document: Document) {
  return maker.make(document, null, graphOf(document, null).nodes, catalogue, { bad: new Set(), messages: new Map() }, () => false);
}

test("each link of a list is a thread with an end of its own", () => {
  const scene = make(new SceneMaker(), documentOf(text));
  expect(scene.threads.map((thread) => [thread.source, thread.output, thread.target, thread.handle])).toEqual([
    ["a", "image", "all", "images.0"], ["constructor", "image", "all", "images.1"], ["all", "image", "gone", "image"],
  ]);
  expect(scene.cards.get("all")?.rows.map((row) => row.port?.handle)).toEqual(["images.0", "images.1"]);
});

test("a type that is not installed keeps its wires on the card", () => {
  const card = make(new SceneMaker(), documentOf(text)).cards.get("gone");
  expect(card?.known).toBe(false);
  expect(card?.rows[0]?.port?.linked).toBe(true);
});

test("an edit of one node makes one new card", () => {
  const maker = new SceneMaker();
  const document = documentOf(text);
  const before = make(maker, document);
  const edit = setInput(document, null, "a", "seed", 4);
  if (isRefusal(edit)) throw new Error(edit.refused);
  const after = make(maker, apply(document, edit).document);
  const changed = [...after.cards].filter(([id, card]) => before.cards.get(id) !== card).map(([id]) => id);
  expect(changed).toEqual(["a"]);
});
