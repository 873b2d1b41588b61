import "fake-indexeddb/auto";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { type FakeServer, fakeServer, jobOf } from "../../tests/fake-server";
import type { Connection, Listener } from "../service/events";
import type { Job, JobEvent } from "../service/types";
import { useConnection } from "./connection";
import { useNotices } from "./notices";
import { resetPlanner } from "./planner";
import { takeJob, useRuns } from "./runs";
import { follow, route } from "./start";
import { tabOf, useWorkspace } from "./workspace";

let server: FakeServer;
let listener: Listener;
let jobs: Job[];
const followed: [string, number][] = [];

const connection = {
  listen: (given: Listener) => {
    listener = given;
    return () => {};
  },
  follow: (job: string, from: number) => void followed.push([job, from]),
  forget: () => {},
  tryNow: () => {},
} as unknown as Connection;

const event = (kind: JobEvent["event"], job: string, state: number, time: number, more: Partial<JobEvent> = {}) =>
  listener.event?.({ event: kind, job, state, seq: state, time, node: null, ...more } as JobEvent);
const pass = (milliseconds: number) => vi.advanceTimersByTimeAsync(milliseconds);
const stateOf = (id: string) => useRuns.getState().jobs.get(id)?.job.state;

beforeEach(() => {
  vi.useFakeTimers();
  vi.setSystemTime(1_000_000);
  server = fakeServer();
  jobs = [];
  followed.length = 0;
  server.answers.set("GET /jobs?limit=50", () => Response.json({ jobs, next: null }));
  server.answers.set("GET /queue", () => Response.json({ paused: false, queued: 0, running: 0 }));
  for (const path of ["/nodes", "/models", "/examples"]) server.answers.set(`GET ${path}`, () => Response.json([]));
  for (const id of ["j", "other"]) server.answers.set(`GET /jobs/${id}`, () => Response.json(jobOf(id, { state: "running" })));
  useRuns.setState({ jobs: new Map(), ofTab: new Map() });
  useWorkspace.setState({ tabs: [], current: null });
  useNotices.setState({ list: [] });
  useConnection.setState({ state: "connecting", caughtUp: null, locked: false, retryAt: null });
  resetPlanner();
  follow(connection);
});
afterEach(() => void vi.useRealTimers());

async function away(): Promise<void> {
  listener.state?.("connected", null);
  await pass(2000);
  listener.state?.("lost", 1_005_000);
  await pass(3000);
}

test("what happened while the server was away is counted, and what happens now is not", async () => {
  await away();
  expect(useConnection.getState()).toMatchObject({ state: "lost", caughtUp: null });
  listener.state?.("connected", null);
  for (const state of [0, 1, 2]) event("node_started", "j", state, 1003, { node: "a" });
  await pass(500);
  event("node_finished", "j", 3, 1004, { node: "a" });
  event("node_started", "j", 4, 1_000_000, { node: "b" });
  await pass(900);
  expect(useConnection.getState().caughtUp).toBe(null);
  await pass(200);
  expect(useConnection.getState().caughtUp).toBe(4);
});

test("a job that the server took back into its queue is queued here, unless newer events say that it runs", async () => {
  for (const id of ["back", "on"]) takeJob(jobOf(id, { state: "running" }));
  await away();
  jobs = [jobOf("on"), jobOf("back")];
  const wait = new Promise<void>((done) => setTimeout(done, 50));
  server.answers.set("GET /jobs?limit=50", async () => {
    await wait;
    return Response.json({ jobs, next: null });
  });
  listener.state?.("connected", null);
  event("job_started", "on", 5, 1006);
  await pass(1000);
  expect([stateOf("back"), stateOf("on")]).toEqual(["queued", "running"]);
  expect(followed).toContainEqual(["back", 0]);
  expect(followed).toContainEqual(["on", 6]);
});

test("a job that the server does not have any more is forgotten", async () => {
  takeJob(jobOf("gone", { state: "running" }));
  server.answers.set("GET /jobs/gone", () => Response.json({ code: "not_found" }, { status: 404 }));
  await away();
  listener.state?.("connected", null);
  await pass(1000);
  expect(stateOf("gone")).toBe(undefined);
});

test("a server that wants a token is not one that is away", async () => {
  server.answers.set("GET /queue", () => Response.json({ code: "no_token" }, { status: 401 }));
  listener.state?.("lost", 1_005_000);
  await pass(10);
  expect(useConnection.getState().locked).toBe(true);
});

test("a plan is out of date the moment that a run ends", async () => {
  useWorkspace.getState().open({ weft: 1, nodes: { a: { type: "x", inputs: {} } } });
  listener.state?.("connected", null);
  await pass(1000);
  const asked = server.of("/plan").length;
  event("job_finished", "other", 0, 1002);
  await pass(200);
  expect(server.of("/plan").length).toBe(asked + 1);
});

test("an address of an app opens it, whatever its name is", async () => {
  const text = JSON.stringify({ weft: 1, nodes: {} });
  for (const name of ["my%20dome", "__proto__"]) {
    server.answers.set(`GET /workflows/${name}`, () => new Response(text, { headers: { etag: '"1"' } }));
    await route(`/app/${name}`);
    expect(tabOf()).toMatchObject({ name: decodeURIComponent(name), view: "app" });
  }
  await route("/app/missing%");
  await route("/elsewhere");
  expect(useWorkspace.getState().tabs).toHaveLength(2);
});
