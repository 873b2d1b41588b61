import { describe, expect, test } from "vitest";
import { jobOf } from "../../tests/fake-server";
import type { Document } from "../document/types";
import type { JobEvent } from "../service/types";
import { closed, insideCount, opened, runOf, take } from "./reduce";
import type { RunInfo } from "./types";

let number = 0;
const event = (name: string, node: string | null, more: Partial<JobEvent> = {}): JobEvent => {
  number += 1;
  return { event: name, node, job: "j", time: number, ...more };
};
function after(events: readonly JobEvent[], begin: RunInfo = runOf(jobOf("j"), 1)): RunInfo {
  const open = opened(begin);
  for (const item of events) take(open, item);
  return closed(open);
}
const document: Document = {
  weft: 1,
  nodes: { draw: { type: "picture" }, save: { type: "save_image" } },
  definitions: {
    picture: { nodes: { prompt: { type: "encode_prompt" }, sketch: { type: "edges" }, out: { type: "decode", mode: "bypass" } } },
    edges: { nodes: { a: { type: "canny" }, b: { type: "canny" } } },
  },
};

describe("what events do to a run", () => {
  test("a run from its start to its end", () => {
    const run = after([
      event("job_queued", null, { state: 0 }),
      event("job_started", null, { state: 1, nodes: 3 }),
      event("node_cached", "model", { state: 2, tier: "disk" }),
      event("node_started", "denoise", { state: 3, why: [{ what: "input", input: "seed", was: "7", now: "8" }] }),
      event("node_progress", "denoise", { step: 1, total: 25 }),
      event("node_progress", "denoise", { step: 2, total: 25 }),
      event("node_finished", "denoise", { state: 4, seconds: 2.4 }),
      event("job_finished", null, { state: 5, seconds: 3, ran: 1, cached: 1 }),
    ]);
    expect(run.job).toMatchObject({ state: "done", seconds: 3, ran: 1, progress: { done: 1, cached: 1, of: 3 } });
    expect(run.nodes.get("model")).toMatchObject({ state: "cached", tier: "disk" });
    expect(run.nodes.get("denoise")).toMatchObject({ state: "done", seconds: 2.4, step: 2, why: [{ input: "seed" }] });
    expect(run.next).toBe(6);
  });

  test("steps that were there, and items", () => {
    const run = after([
      event("node_resumed", "a", { steps: 9, total: 25 }),
      event("node_progress", "a", { step: 10, total: 25 }),
      event("node_progress", "b", { step: 7, total: 20, message: "items" }),
    ]);
    expect(run.nodes.get("a")).toMatchObject({ state: "running", resumed: 9, step: 10, paced: { step: 10 } });
    expect(run.nodes.get("b")).toMatchObject({ state: "running", items: { done: 7, of: 20 } });
  });

  test("a failure ends what runs beside it", () => {
    const error = { node: "a", type: "t", exception: "E", message: "No.", traceback: "" };
    const run = after([
      event("job_started", null, { nodes: 2 }),
      event("node_started", "a"),
      event("node_started", "b"),
      event("node_failed", "a", { error }),
      event("job_failed", null, { error }),
    ]);
    expect([run.nodes.get("a")?.state, run.nodes.get("b")?.state, run.job.state]).toEqual(["failed", "waits", "failed"]);
    expect(run.job.error).toEqual(error);
  });

  test("a job whose worker died begins anew", () => {
    const run = after([
      event("job_started", null, { nodes: 2 }),
      event("node_finished", "a", { seconds: 1 }),
      event("job_queued", null),
      event("job_started", null, { nodes: 2 }),
    ]);
    expect(run.nodes.size).toBe(0);
    expect(run.job).toMatchObject({ state: "running", progress: { done: 0, of: 2 } });
  });

  test("the inside of definitions is summed up at their uses, at every depth", () => {
    expect([insideCount(document, "draw"), insideCount(document, "draw/sketch"), insideCount(document, "save")]).toEqual([3, 2, 0]);
    const begin = runOf(jobOf("j"), 1, { document });
    const first = [event("node_started", "draw/prompt"), event("node_finished", "draw/prompt", { seconds: 1 })];
    const half = after([...first, event("node_started", "draw/sketch/a")], begin);
    expect(half.nodes.get("draw")).toMatchObject({ state: "running", inner: { name: "sketch/a", done: 1, of: 3 } });
    expect(half.nodes.get("draw/sketch")).toMatchObject({ state: "running", inner: { name: "a", done: 0, of: 2 } });
    const ends = ["a", "b"].map((id) => event("node_finished", `draw/sketch/${id}`, { seconds: 0.5 }));
    const whole = after(ends, half);
    expect(whole.nodes.get("draw/sketch")).toMatchObject({ state: "done", seconds: 1 });
    expect(whole.nodes.get("draw")).toMatchObject({ state: "done", seconds: 2, inner: { done: 3, of: 3 } });
  });

  test("a use whose inside is all cached is from there", () => {
    const cached = (id: string, tier: "memory" | "disk" | "unneeded") => event("node_cached", `draw/${id}`, { tier });
    const begin = runOf(jobOf("j"), 1, { document });
    const run = after([cached("prompt", "unneeded"), cached("sketch/a", "disk"), cached("sketch/b", "unneeded")], begin);
    expect(run.nodes.get("draw")).toMatchObject({ state: "cached", tier: "disk" });
  });

  test("events of what is not known change nothing, and no name is special", () => {
    const run = after([event("something_new", "a"), event("node_started", "__proto__"), event("node_started", "constructor")]);
    expect([...run.nodes.keys()]).toEqual(["__proto__", "constructor"]);
  });
});
