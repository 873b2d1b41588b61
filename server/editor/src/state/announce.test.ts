import { beforeEach, expect, test } from "vitest";
import { jobOf } from "../../tests/fake-server";
import type { JobEvent, Problem } from "../service/types";
import { announce, watchProblems } from "./announce";
import { useNotices } from "./notices";
import { usePlan } from "./plans";
import { giveToTab, takeJob } from "./runs";
import { useWorkspace } from "./workspace";

let tab: string;
let said: string[];

beforeEach(() => {
  useWorkspace.setState({ tabs: [], current: null });
  tab = useWorkspace.getState().open({ weft: 1, nodes: {} });
  said = [];
});
useNotices.subscribe((now, before) => {
  if (now.line !== before.line) said.push(now.line.text);
});

function job(id: string, slot: string | null = null): void {
  takeJob(jobOf(id, { slot }), { tab, number: 42 });
  giveToTab(id, tab);
}
const tell = (event: JobEvent["event"], id: string, more: Partial<JobEvent> = {}) =>
  announce({ event, job: id, seq: 0, time: 0, node: null, ...more } as JobEvent);

test("a run is told in a few words: its start, each quarter once, its end", () => {
  job("a");
  usePlan.getState().set(tab, { counts: { run: 4, of: 16 } });
  tell("job_started", "a", { nodes: 16 });
  for (let step = 1; step <= 8; step += 1) tell("node_progress", "a", { node: "draw", step, total: 8 });
  tell("node_progress", "a", { node: "short", step: 2, total: 3 });
  tell("job_finished", "a", { seconds: 13.1 });
  expect(said).toEqual(["Run 42 started, 4 of 16", "draw 25 %", "draw 50 %", "draw 75 %", "done, 13.1 s"]);
});

test("live runs are told by their ends alone, and others' runs not at all", () => {
  job("live", "live-a");
  tell("job_started", "live", { nodes: 3 });
  tell("node_progress", "live", { node: "draw", step: 4, total: 8 });
  tell("job_cancelled", "live");
  tell("job_finished", "nobody's", { seconds: 1 });
  tell("job_failed", "live", { error: { node: "draw", type: "x", exception: "E", message: "No memory." } as never });
  expect(said).toEqual(["failed: draw. No memory."]);
});

test("problems are told when there are others than before", () => {
  const stop = watchProblems();
  const problem = { severity: "error", code: "bad_value", node: "denoise", input: "width", message: "No." } as Problem;
  const set = (problems: Problem[]) => usePlan.getState().set(tab, { asked: "known", problems });
  set([problem, { ...problem, input: "height" }]);
  set([problem, { ...problem, input: "height" }]);
  set([problem]);
  set([]);
  stop();
  expect(said).toEqual(["2 problems, first: denoise width", "1 problem, first: denoise width", "no problems"]);
});
