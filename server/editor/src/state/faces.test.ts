/** The table of DESIGN.md, 4, row by row. */
import { describe, expect, test } from "vitest";
import type { Problem } from "../service/types";
import { faceOf, type Known } from "./faces";
import type { NodeRun } from "./types";

const NOTHING: Known = {
  mode: null,
  missing: false,
  isDefinition: false,
  inside: 0,
  mutedSource: null,
  problems: [],
  blockedBy: null,
  plan: null,
  planned: true,
  run: null,
  job: null,
  fresh: true,
  before: null,
  lost: false,
  expected: null,
  opens: false,
  replaceable: false,
  now: 1000,
  last: null,
};
const face = (more: Partial<Known>) => faceOf({ ...NOTHING, ...more });
const running = (run: Partial<NodeRun>, more: Partial<Known> = {}) => face({ job: "running", run: { state: "running", ...run }, ...more });
const ran = (run: NodeRun, more: Partial<Known> = {}) => face({ job: "ended", run, ...more });
const problem: Problem = { severity: "error", code: "out_of_range", node: "a", input: "scale", message: "scale is at most 10." };

describe("the foot of a node", () => {
  test.each<[string, Partial<Known>, object]>([
    ["will run", { plan: { will: "run", seconds: 10 } }, { state: "will-run", words: "will run", aside: "≈ 10 s", icon: "play" }],
    ["will run, unknown how long", { plan: { will: "run" } }, { state: "will-run", words: "will run", aside: "" }],
    ["will run, items", { plan: { will: "run", items: 12, items_cached: 3 } }, { words: "will run", aside: "9 items" }],
    ["goes on", { plan: { will: "resume", steps: 9, of: 25, seconds: 4 } }, { state: "will-run", words: "goes on at step 9", icon: "forward" }],
    ["from memory", { plan: { will: "cached", tier: "memory" } }, { state: "memory", words: "from memory", icon: "memory" }],
    ["from disk", { plan: { will: "cached", tier: "disk" } }, { state: "disk", words: "from disk", icon: "disk" }],
    ["not needed", { plan: { will: "skip", reason: "denoise is cached" } }, { state: "unneeded", words: "not needed", tip: "denoise is cached" }],
    ["a definition not needed", { isDefinition: true, inside: 5, plan: { will: "skip" } }, { words: "not needed", aside: "5 nodes inside" }],
    ["depends on others", { plan: { will: "unknown" } }, { state: "will-run", words: "may run" }],
    ["not asked yet", {}, { state: "unknown", words: "not asked yet", icon: "ring" }],
    ["last known", { lost: true, plan: { will: "cached", tier: "disk" } }, { state: "unknown", words: "last: from disk", icon: "disk" }],
    ["last known, no plan", { planned: false, plan: { will: "run", seconds: 3 } }, { state: "unknown", words: "last: will run", aside: "" }],
    ["waits in the queue", { job: "queued", before: 2, plan: { will: "run", seconds: 1 } }, { state: "waits", words: "waits", aside: "2 before it", icon: "clock" }],
    ["waits in a run", { job: "running", expected: 0.1 }, { state: "waits", words: "waits", aside: "≈ 0.1 s" }],
    ["from disk while others run", { job: "running", plan: { will: "cached", tier: "disk" } }, { state: "disk" }],
    ["1 problem", { problems: [problem] }, { state: "problem", words: "1 problem", message: "scale is at most 10.", icon: "error" }],
    ["2 problems, expected", { problems: [problem, problem], plan: { will: "run", seconds: 10 } }, { words: "2 problems", aside: "≈ 10 s" }],
    ["waits for one with a problem", { blockedBy: { id: "denoise", failed: false } }, { state: "blocked", words: "waits for denoise", icon: "dash" }],
    ["waits for a failed one", { blockedBy: { id: "model", failed: true } }, { state: "blocked", words: "model failed" }],
    ["muted", { mode: "mute", problems: [problem] }, { state: "muted", words: "muted", icon: "mute" }],
    ["left out", { mutedSource: "image" }, { state: "left-out", words: "left out, image is muted" }],
    ["bypassed", { mode: "bypass" }, { state: "bypassed", words: "bypassed", icon: "bypass" }],
    ["not installed", { missing: true, problems: [problem] }, { state: "missing", words: "not installed", icon: "help" }],
    ["not installed, replaceable", { missing: true, replaceable: true }, { links: ["Replace"] }],
  ])("%s", (_, known, wanted) => void expect(face(known)).toMatchObject(wanted));

  test("loading weights, 1.2 s", () => {
    const wanted = { state: "running", words: "loading weights", aside: "1.2 s", icon: "arc", turns: true };
    expect(running({ began: 998.8, message: "loading weights" })).toMatchObject(wanted);
    expect(running({ began: 999.95 })).toMatchObject({ words: "running", aside: "" });
    expect(running({ began: 999 })).not.toHaveProperty("bar");
  });

  test("step 14 of 25, 4.5 s left", () => {
    const run = { step: 14, total: 25, began: 990, paced: { time: 994.7, step: 1 }, preview: "blob:1" };
    const found = running(run);
    expect(found).toMatchObject({ words: "step 14 of 25", aside: "4.5 s left", bar: 14 / 25 });
    expect(found.picture).toEqual({ source: "blob:1", corner: "14 / 25" });
  });

  test("before there is a pace, what was expected is left", () => {
    expect(running({ step: 1, total: 25, began: 998, paced: { time: 1000, step: 1 } }, { expected: 10 }).aside).toBe("8.0 s left");
  });

  test("step 11, 9 were there", () => {
    const run = { step: 11, total: 25, resumed: 9, paced: { time: 999, step: 10 } };
    expect(running(run)).toMatchObject({ words: "step 11 of 25", aside: "9 were there", icon: "forward", turns: false });
  });

  test("item 8 of 20", () => {
    const found = running({ items: { done: 7, of: 20 }, began: 972 });
    expect(found).toMatchObject({ words: "item 8 of 20", aside: "52 s left", bar: 7 / 20, items: { done: 7, of: 20 } });
  });

  test("image, 3 of 5", () => {
    expect(running({ inner: { name: "image", done: 3, of: 5 }, began: 999.1 })).toMatchObject({ words: "image, 3 of 5", aside: "0.9 s", bar: 0.6 });
  });

  test("done, until something else is known", () => {
    expect(ran({ state: "done", seconds: 0.1 })).toMatchObject({ state: "done", words: "done", aside: "0.1 s", icon: "check" });
    expect(ran({ state: "done", seconds: 0.1 }, { opens: true })).toMatchObject({ aside: "", links: ["Open"] });
    const later = { fresh: false, plan: { will: "cached", tier: "memory" } as const };
    expect(ran({ state: "done", seconds: 0.1 }, later)).toMatchObject({ state: "memory", words: "from memory" });
    expect(face({ job: "running", run: { state: "done", seconds: 2 }, fresh: false })).toMatchObject({ words: "done" });
  });

  test("what a run took from the cache, and from where", () => {
    expect(ran({ state: "cached", tier: "memory" })).toMatchObject({ state: "memory", words: "from memory" });
    expect(ran({ state: "cached", tier: "disk" })).toMatchObject({ state: "disk", words: "from disk" });
    expect(ran({ state: "cached", tier: "unneeded" })).toMatchObject({ state: "unneeded", words: "not needed" });
  });

  test("failed, with the message, the log and another try", () => {
    const error = { node: "model", type: "load_model", exception: "OSError", message: "There is no such file.", traceback: "" };
    const wanted = { state: "failed", words: "failed", message: "There is no such file.", links: ["Log", "Retry"], icon: "error" };
    expect(ran({ state: "failed", error })).toMatchObject(wanted);
    expect(face({ job: "running", run: { state: "failed", error } })).toMatchObject(wanted);
    expect(ran({ state: "failed", error }, { fresh: false, plan: { will: "run" } })).toMatchObject({ words: "will run" });
  });

  test("while the server is lost a running node says what it did last, and does not turn", () => {
    const found = running({ step: 3, total: 4 }, { lost: true });
    expect(found).toMatchObject({ state: "unknown", words: "last: step 3 of 4" });
    expect(found.turns).toBeUndefined();
  });

  test("the last picture stays, with its run's number", () => {
    const last = { source: "/api/v1/files/x", number: 41 };
    expect(face({ plan: { will: "run" }, last }).picture).toEqual({ source: last.source, corner: "of run 41" });
  });
});
