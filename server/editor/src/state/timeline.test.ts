import { expect, test } from "vitest";
import { jobOf } from "../../tests/fake-server";
import type { Document } from "../document/types";
import { runOf } from "./reduce";
import { timelineOf } from "./timeline";
import type { NodeRun } from "./types";

const DOCUMENT = {
  weft: 1,
  nodes: {
    model: { type: "x", inputs: {} },
    side: { type: "x", inputs: {} },
    draw: { type: "x", inputs: { m: { link: "model" }, s: { link: "side" } } },
    save: { type: "x", inputs: { i: { link: "draw" } } },
  },
} as unknown as Document;

const run = (nodes: Record<string, NodeRun>, job = {}, more = {}) =>
  runOf(jobOf("j", { state: "running", started: 100, ...job }), 1, { nodes: new Map(Object.entries(nodes)), document: DOCUMENT, ...more });

test("says when each node was, and what the run waited for", () => {
  const { spans, criticalPath, seconds } = timelineOf(
    run(
      {
        model: { state: "cached", tier: "disk", ended: 100 },
        side: { state: "done", began: 100, ended: 101 },
        draw: { state: "done", began: 101, ended: 104 },
        save: { state: "failed", began: 104, ended: 104.5 },
      },
      { state: "failed", finished: 105 },
    ),
    900,
  );
  expect(spans.map(({ node, lane, from, to }) => [node, lane, from, to])).toEqual([
    ["model", "cache", 0, 0],
    ["side", "cpu", 0, 1],
    ["draw", "cpu", 1, 4],
    ["save", "cpu", 4, 4.5],
  ]);
  expect([criticalPath, seconds, spans[3]?.failed]).toEqual([["side", "draw", "save"], 5, true]);
});

test("what runs is open to the end that is expected, and what is to come follows it", () => {
  const expected = new Map([["draw", 4], ["save", 1]]);
  const { spans, seconds } = timelineOf(run({ side: { state: "done", began: 100, ended: 101 }, draw: { state: "running", began: 101 } }, {}, { expected }), 102);
  expect(spans.map(({ node, from, to, open, expected: may }) => [node, from, to, open, may])).toEqual([
    ["side", 0, 1, false, false],
    ["draw", 1, 5, true, false],
    ["save", 5, 6, true, true],
  ]);
  expect(seconds).toBe(6);
});

test("the worker's start stands before the run", () => {
  expect(timelineOf(run({}, {}, { worker: { worker: 0, seconds: 2.5 } }), 101).worker).toEqual({ from: -2.5, to: 0 });
});
