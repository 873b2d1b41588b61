import { describe, expect, it } from "vitest";
import { jobFromEvent, runOf } from "../state/reduce";
import type { Job } from "../service/types";
import type { NodeRun, RunInfo } from "../state/types";
import { failureWords, nextAct, priorityOf, progressOf, runWords, sortedRuns } from "./runWords";

function run(job: Partial<Job>, nodes: [string, NodeRun][] = [], more: Partial<RunInfo> = {}): RunInfo {
  const base = jobFromEvent({ event: "job_queued", time: 100, job: job.id ?? "a", node: null });
  return { ...runOf({ ...base, ...job }, 1), nodes: new Map(nodes), ...more };
}

const fault = { node: "model", type: "load_model", exception: "E", message: "device 'cuda' is not there", traceback: "" };

describe("a run in words", () => {
  it("says which step of which node, and how long", () => {
    const running = run({ state: "running", started: 100 }, [["denoise", { state: "running", step: 8, total: 25 }]], { expectedSeconds: 13 });
    expect(runWords(running, 105.9)).toEqual({ head: "denoise: step 8 of 25", tone: "work", more: "5.9 s of ≈ 13 s" });
    expect(progressOf(running, 106.5)).toBeCloseTo(0.5);
  });

  it("says that a worker starts while nothing is known", () => {
    expect(runWords(run({ state: "running", started: 100 }), 101).head).toBe("a worker starts");
  });

  it("says what stands before it in the queue", () => {
    expect(runWords(run({ state: "queued", position: 0 }), 0).head).toBe("next");
    expect(runWords(run({ state: "queued", position: 3 }), 0).head).toBe("3 before it");
    expect(runWords(run({ state: "queued", priority: -10 }), 0).head).toBe("when nothing else waits");
    expect(runWords(run({ state: "queued", attempts: 1 }), 0).head).toBe("its worker died; it waits for try 2");
  });

  it("says why it failed", () => {
    expect(failureWords(run({ state: "failed", error: fault }).job)).toBe("model: device 'cuda' is not there");
    expect(failureWords(run({ state: "failed", attempts: 3, error: { ...fault, code: "worker_died", node: "denoise" } }).job)).toBe("its worker died on denoise, 3 times");
    expect(failureWords(run({ state: "failed", error: { ...fault, message: "[Errno 28] No space left on device" } }).job)).toBe("the disk is full");
    expect(failureWords(run({ state: "failed" }).job)).toBe("failed; the server says no more");
  });

  it("says at which step it was cancelled, and what is kept", () => {
    const cancelled = run({ state: "cancelled", started: 1 }, [["denoise", { state: "waits", step: 17, ended: 9 }]]);
    expect(runWords(cancelled, 0)).toEqual({ head: "cancelled at step 17 of denoise", tone: "plain", more: "kept" });
    expect(nextAct(cancelled.job)).toBe("go on");
    expect(nextAct(run({ state: "cancelled" }).job)).toBe("retry");
    expect(nextAct(run({ state: "failed" }).job)).toBe("retry");
    expect(nextAct(run({ state: "done" }).job)).toBe("open");
  });

  it("says how much ran", () => {
    expect(runWords(run({ state: "done", seconds: 9.1, ran: 16, cached: 0 }), 0)).toEqual({ head: "9.1 s", tone: "plain", more: "16 ran, 0 cached" });
    expect(runWords(run({ state: "done", seconds: 0.1, ran: 0, cached: 4 }), 0).more).toBe("nothing had to run");
  });

  it("sorts by what stands where", () => {
    const all = [
      run({ id: "d1", state: "done", finished: 5 }),
      run({ id: "q2", state: "queued", position: 1 }),
      run({ id: "q1", state: "queued", position: 0 }),
      run({ id: "d2", state: "failed", finished: 9 }),
      run({ id: "r", state: "running", started: 3 }),
    ];
    const { running, queued, done } = sortedRuns(all);
    expect([running, queued, done].map((list) => list.map(({ job }) => job.id))).toEqual([["r"], ["q1", "q2"], ["d2", "d1"]]);
  });

  it("names priorities", () => {
    expect([10, 3, 0, -1].map(priorityOf)).toEqual(["high", "high", "normal", "low"]);
  });
});
