import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { parseDocument } from "../document/text";
import { testCatalogue } from "../document/testing/fixture";
import type { Document, NodeSpec } from "../document/types";
import { cardSize, textLines, widthOf } from "./sizes";
import { roundedPath } from "./paths";
import { type Box, threads } from "./threads";
import { tidy } from "./tidy";
import { sizeOf } from "./sizes";

const catalogue = testCatalogue();

function example(name: string): Document {
  const read = parseDocument(readFileSync(new URL(`../../../../graphs/examples/${name}.json`, import.meta.url), "utf8"));
  if ("problem" in read) throw new Error(read.problem);
  return read.document;
}

describe("sizes", () => {
  test("the card of the design's denoise, to the pixel", () => {
    const spec = { type: "denoise", inputs: { model: { link: "m" }, guidance: [{ link: "a" }, { link: "b" }], controls: [{ link: "c" }] } } as unknown as NodeSpec;
    const type = catalogue.get("denoise");
    const size = cardSize(spec, type, {}, { pinned: ["steps", "seed"], rest: true, picture: true });
    expect(size.width).toBe(208);
    expect(size.ports.in.model).toBe(41);
    expect(size.ports.in["guidance.0"]).toBe(61);
    expect(size.picture?.size).toBe(190);
    const rows = Math.max(Object.keys(size.ports.in).length, Object.keys(size.ports.out).length);
    expect(size.height).toBe(1 + 28 + 2 + 20 * rows + 2 * 26 + 18 + 198 + 4 + 24 + 1);
  });

  test("the card of a model loader is 106 high", () => {
    const size = cardSize({ type: "load_model" }, catalogue.get("load_model"), {}, { pinned: ["source"] });
    expect(size.height).toBe(106);
    expect(size.ports.out.model).toBe(41);
  });

  test("collapsed is the head; text boxes have 2 to 6 lines; an unknown type keeps its wires", () => {
    expect(cardSize({ type: "cfg" }, catalogue.get("cfg"), { collapsed: true }, { pinned: [] }).height).toBe(30);
    expect([textLines("", 196), textLines("word ".repeat(200), 196)]).toEqual([2, 6]);
    const unknown = { type: "nobody", inputs: { x: { link: "a" }, y: 2, __proto__: null } } as unknown as NodeSpec;
    expect(Object.keys(cardSize(unknown, undefined, {}, { pinned: [], outputs: ["made"] }).ports.in)).toEqual(["x"]);
    expect(widthOf(catalogue.get("encode_prompt"))).toBe(196);
  });
});

describe("tidy", () => {
  test.each(["text_to_image", "sega", "sega_textual_inversion_controlnet", "map_sweep", "eight_prompts"])("%s: left to right, nothing on another, 40 or more between columns", async (name) => {
    const document = example(name);
    const places = await tidy(document, null, catalogue);
    const boxes = [...places].map(([id, { x, y }]) => {
      const size = sizeOf(document, null, id, {}, catalogue);
      return { id, x, y, right: x + (size?.width ?? 0), bottom: y + (size?.height ?? 0) };
    });
    expect(boxes.length).toBe(Object.keys(document.nodes).length);
    for (const a of boxes) {
      expect([a.x % 8, a.y % 8].map(Math.abs)).toEqual([0, 0]);
      for (const b of boxes) {
        if (a === b) continue;
        expect(a.x < b.right && b.x < a.right && a.y < b.bottom && b.y < a.bottom, `${a.id} on ${b.id}`).toBe(false);
        if (b.x > a.x && a.y < b.bottom && b.y < a.bottom) expect(b.x - a.right, `${a.id} to ${b.id}`).toBeGreaterThanOrEqual(40);
      }
    }
    expect([...(await tidy(document, null, catalogue))]).toEqual([...places]);
  });

  test("ids that are no plain names to careless code, and pieces that are not connected, have places of their own", async () => {
    const text = '{"weft": 1, "nodes": {"__proto__": {"type": "load_model"}, "constructor": {"type": "encode_prompt", "inputs": {"model": {"link": "__proto__"}}}, "alone": {"type": "cfg"}}}';
    const read = parseDocument(text);
    if ("problem" in read) throw new Error(read.problem);
    const places = await tidy(read.document, null, catalogue);
    expect(new Set([...places.values()].map(({ x, y }) => `${x} ${y}`)).size).toBe(3);
  });
});

describe("threads", () => {
  const left: Box = { x: 0, y: 0, width: 150, height: 100 };
  const right: Box = { x: 220, y: 0, width: 150, height: 300 };

  test("threads of one output share a track, others are 8 apart", () => {
    const found = threads(
      [
        { id: "a", output: "n.x", from: { x: 150, y: 40 }, to: { x: 220, y: 60 } },
        { id: "b", output: "n.x", from: { x: 150, y: 40 }, to: { x: 220, y: 120 } },
        { id: "c", output: "n.y", from: { x: 150, y: 60 }, to: { x: 220, y: 200 } },
      ],
      [left, right],
    );
    const track = (id: string) => found.get(id)?.corners[1]?.x ?? 0;
    expect(track("a")).toBe(track("b"));
    expect(Math.abs(track("c") - track("a"))).toBe(8);
    // The lower one turns first, so that they do not cross.
    expect(track("c")).toBeLessThan(track("a"));
  });

  test("a backward thread goes below its source", () => {
    const found = threads([{ id: "a", output: "n.x", from: { x: 150, y: 40 }, to: { x: 0, y: 300 }, sourceBox: left }], [left]);
    expect(Math.max(...(found.get("a")?.corners ?? []).map((spot) => (spot.y < 300 ? spot.y : 0)))).toBe(114);
  });

  test("corners are round, a level thread is one line", () => {
    expect(roundedPath([{ x: 0, y: 0 }, { x: 50, y: 0 }])).toBe("M0 0L50 0");
    expect(roundedPath([{ x: 0, y: 0 }, { x: 50, y: 0 }, { x: 50, y: 50 }])).toBe("M0 0L40 0Q50 0 50 10L50 50");
  });

  test("bends are passed in their order", () => {
    const found = threads([{ id: "a", output: "n.x", from: { x: 150, y: 40 }, to: { x: 600, y: 40 }, bends: [{ x: 300, y: 200 }] }], [left]);
    expect(found.get("a")?.corners).toContainEqual({ x: 300, y: 200 });
  });
});
