import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { jobOf } from "../../tests/fake-server";
import type { JobEvent } from "../service/types";
import { dropOldPreviews, flushEvents, forgetJob, giveToTab, takeEvent, takeJob, useRuns } from "./runs";

const empty = useRuns.getState();
const live = new Set<string>();
let number = 0;

beforeEach(() => {
  vi.useFakeTimers();
  live.clear();
  useRuns.setState({ ...empty, jobs: new Map(), ofTab: new Map() }, true);
  vi.spyOn(URL, "createObjectURL").mockImplementation(() => {
    number += 1;
    live.add(`blob:${number}`);
    return `blob:${number}`;
  });
  vi.spyOn(URL, "revokeObjectURL").mockImplementation((source) => void live.delete(source));
});
afterEach(() => {
  vi.restoreAllMocks();
  vi.useRealTimers();
});

const event = (job: string, name: string, node: string | null = null) =>
  takeEvent({ event: name, node, job, time: (number += 1) } as JobEvent);
const picture = (job: string, node: string) => takeEvent({ job, node, mime: "image/jpeg", data: new Uint8Array(4) } as never);
const shown = () => [...useRuns.getState().jobs.values()].flatMap(({ nodes }) => [...nodes.values()].flatMap(({ preview }) => preview ?? []));
/** Everything is let go that is. */
function rest(): void {
  flushEvents();
  vi.runAllTimers();
}
function oneRun(job: string, tab: string | null): void {
  takeJob(jobOf(job));
  if (tab !== null) giveToTab(job, tab);
  event(job, "job_started");
  event(job, "node_started", "a/b");
  picture(job, "a/b");
  picture(job, "a/b");
  flushEvents();
  picture(job, "a/b");
  event(job, "node_finished", "a/b");
  event(job, "job_finished");
  flushEvents();
}

test("a hundred runs leave the pictures that are shown, and no other", () => {
  for (let at = 0; at < 100; at += 1) {
    oneRun(`${at}`, at % 3 === 0 ? null : "tab");
    dropOldPreviews(["tab"]);
  }
  rest();
  expect(live.size).toBe(1);
  expect(new Set(shown())).toEqual(live);
  expect(useRuns.getState().jobs.get("98")?.nodes.get("a/b")?.preview).toBeDefined();
  dropOldPreviews([]); // the tab is closed
  rest();
  expect(live.size).toBe(0);
});

test("a picture stays a moment when another one comes, so that none breaks while it is shown", () => {
  takeJob(jobOf("1"));
  event("1", "job_started");
  picture("1", "a");
  flushEvents();
  const [first] = shown();
  picture("1", "a");
  flushEvents();
  expect(live).toContain(first);
  rest();
  expect([...live]).toEqual(shown());
});

test("a run that begins anew, and one that is forgotten, let go of theirs", () => {
  takeJob(jobOf("1"));
  event("1", "job_started");
  picture("1", "a");
  flushEvents();
  event("1", "job_queued");
  event("1", "job_started");
  rest();
  expect(live.size).toBe(0);
  picture("1", "a");
  rest();
  expect(live.size).toBe(1);
  forgetJob("1");
  rest();
  expect(live.size).toBe(0);
});

test("runs that are too many go with their pictures", () => {
  for (let at = 0; at < 250; at += 1) oneRun(`${at}`, null);
  rest();
  expect(useRuns.getState().jobs.size).toBe(200);
  expect(live.size).toBe(200);
});

test("of two runs, the one that ended later in the queue keeps its pictures, in whichever order the answers come", () => {
  oneRun("1", "tab");
  oneRun("2", "tab");
  dropOldPreviews(["tab"]);
  dropOldPreviews(["tab"]);
  rest();
  expect(useRuns.getState().jobs.get("2")?.nodes.get("a/b")?.preview).toBeDefined();
  expect(live.size).toBe(1);
});
