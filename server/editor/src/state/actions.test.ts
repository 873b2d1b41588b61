import "fake-indexeddb/auto";
import { beforeEach, describe, expect, test, vi } from "vitest";
import { type FakeServer, fakeServer, settle } from "../../tests/fake-server";
import { Catalogue } from "../catalogue/catalogue";
import type { NodeType } from "../catalogue/types";
import { setInput } from "../document/edits";
import type { Document } from "../document/types";
import { dropPost, posts } from "../service/drafts";
import { cancel, run, sendWaiting } from "./actions";
import { useCatalogue } from "./catalogue";
import { setLive, watchLive } from "./live";
import { useNotices } from "./notices";
import { planOf } from "./plans";
import { flushEvents, takeEvent, useRuns } from "./runs";
import { drawSeed, seedBefore } from "./seeds";
import { startSweep } from "./sweeps";
import { tabOf, useWorkspace } from "./workspace";

let server: FakeServer;
const INPUT = { required: false, help: "" };
const DENOISE: NodeType = {
  name: "denoise",
  version: 1,
  category: "sampling",
  summary: "",
  help: "",
  inputs: [
    { ...INPUT, name: "seed", type: "int", default: 0 },
    { ...INPUT, name: "steps", type: "int", default: 20 },
  ],
  outputs: [{ name: "latents", type: "Latents" }],
  output: true,
  resource: "device",
  cache: "pure",
  tags: [],
  origin: "",
};
const DOCUMENT = { weft: 1, nodes: { d: { type: "denoise", inputs: { seed: 7, steps: 20 } } } } as unknown as Document;

beforeEach(async () => {
  vi.useRealTimers();
  server = fakeServer();
  useWorkspace.setState({ tabs: [], current: null });
  useRuns.setState({ jobs: new Map(), ofTab: new Map(), unsent: new Map() });
  useNotices.setState({ list: [] });
  useCatalogue.setState({ catalogue: new Catalogue([DENOISE]) });
  for (const { key } of await posts()) await dropPost(key);
});

const seed = () => tabOf()?.history.document.nodes["d"]?.inputs?.["seed"];
const sent = () => server.of("/jobs").map(({ body }) => (body as { workflow: Document }).workflow.nodes["d"]?.inputs?.["seed"]);

describe("running", () => {
  test("queues the document, and knows the job from then on", async () => {
    const tab = useWorkspace.getState().open(DOCUMENT);
    const job = await run(tab, { targets: ["d"], first: true });
    expect(server.of("/jobs")[0]?.body).toMatchObject({ targets: ["d"], priority: 10, workflow: DOCUMENT });
    expect(useRuns.getState().ofTab.get(tab)).toEqual([job?.id]);
    expect(tabOf(tab)?.jobs).toEqual([job?.id]);
    expect(useRuns.getState().jobs.get(job?.id ?? "")?.document).toBe(DOCUMENT);
  });

  test("without a server the run waits, and is queued once with its key when it is back", async () => {
    const tab = useWorkspace.getState().open(DOCUMENT);
    server.gone = true;
    expect(await run(tab)).toBeNull();
    expect(useRuns.getState().unsent.get(tab)).toBe(1);
    await sendWaiting();
    expect(await posts()).toHaveLength(1);
    server.gone = false;
    await sendWaiting();
    await sendWaiting();
    expect(server.of("/jobs")).toHaveLength(1);
    expect(server.of("/jobs")[0]?.headers["idempotency-key"]).toMatch(/^[0-9a-f]{24}$/);
    expect([await posts(), useRuns.getState().unsent.get(tab), useRuns.getState().ofTab.get(tab)]).toEqual([[], 0, ["job-1"]]);
  });

  test("a refusal tells its problems where they are", async () => {
    const tab = useWorkspace.getState().open(DOCUMENT);
    const problems = [{ severity: "error", code: "bad_value", node: "d", input: "steps", message: "No." }];
    server.answers.set("POST /jobs", () => Response.json({ code: "invalid_workflow", detail: "One problem.", problems }, { status: 422 }));
    expect(await run(tab)).toBeNull();
    expect(planOf(tab).problems).toEqual(problems);
    server.answers.set("POST /jobs", () => Response.json({ code: "no_space", detail: "The disk is full." }, { status: 507 }));
    await run(tab);
    expect(useNotices.getState().list.map(({ text }) => text)).toEqual(["The disk is full."]);
  });

  test("cancel ends what runs, else what waits", async () => {
    const tab = useWorkspace.getState().open(DOCUMENT);
    await run(tab);
    await run(tab);
    takeEvent({ event: "job_started", job: "job-1", node: null, time: 1, nodes: 1 });
    flushEvents();
    await cancel(tab);
    expect(server.asked.filter(({ path }) => path.endsWith("/cancel")).map(({ path }) => path)).toEqual(["/jobs/job-1/cancel"]);
    await cancel(tab);
    expect(server.asked.at(-1)?.path).toBe("/jobs/job-2/cancel");
  });
});

describe("seeds", () => {
  test("the first run takes the seed that is seen; then they change before the run, into the document", async () => {
    useWorkspace.getState().open(DOCUMENT);
    useWorkspace.getState().setSeedPolicy("d.seed", "next");
    await run();
    expect([sent(), seed()]).toEqual([[7], 7]);
    await run();
    expect([sent(), seed()]).toEqual([[7, 8], 8]);
    useWorkspace.getState().edit(setInput(tabOf()?.history.document ?? DOCUMENT, null, "d", "seed", 100));
    await run();
    expect(sent()).toEqual([7, 8, 100]);
    useWorkspace.getState().setSeedPolicy("d.seed", "keep");
    await run();
    expect(sent()).toEqual([7, 8, 100, 100]);
  });

  test("the seeds before come back one by one; a drawn one is one undo step", async () => {
    useWorkspace.getState().open(DOCUMENT);
    useWorkspace.getState().setSeedPolicy("d.seed", "next");
    for (let round = 0; round < 3; round += 1) await run();
    expect([seedBefore(), seed(), seedBefore(), seed(), seedBefore()]).toEqual([true, 8, true, 7, false]);
    expect(drawSeed()).toBe(true);
    useWorkspace.getState().undo();
    expect(seed()).toBe(7);
  });
});

describe("sweeps", () => {
  test("queue a job for each place of the grid, and leave the document as it is", async () => {
    useWorkspace.getState().open(DOCUMENT);
    const sweep = await startSweep([
      { node: "d", input: "seed", values: [1, 2] },
      { node: "d", input: "steps", values: [10, 20] },
    ]);
    expect(sent()).toEqual([1, 1, 2, 2]);
    expect(sweep).toMatchObject({ cells: [{ at: [0, 0] }, { at: [0, 1] }, { at: [1, 0] }, { at: [1, 1], job: "job-4" }] });
    expect(seed()).toBe(7);
    expect(await startSweep([{ node: "d", input: "seed", values: [] }])).toEqual({ refused: "An axis needs a value." });
  });
});

describe("live", () => {
  const edit = (value: number) => useWorkspace.getState().edit(setInput(tabOf()?.history.document ?? DOCUMENT, null, "d", "steps", value));
  const slots = () => server.of("/jobs").map(({ body }) => (body as { slot?: string }).slot);

  test("runs 300 ms after an edit in the tab's slot, not while nothing that runs changes", async () => {
    vi.useFakeTimers();
    server.plan = () => ({ problems: [], nodes: { d: { will: "run", seconds: 1 } }, seconds: 1 });
    const tab = useWorkspace.getState().open(DOCUMENT);
    const stop = watchLive();
    setLive(tab, true);
    await vi.advanceTimersByTimeAsync(10);
    expect(slots()).toEqual([`live-${tab}`]);
    edit(21);
    await vi.advanceTimersByTimeAsync(290);
    expect(slots()).toHaveLength(1);
    await vi.advanceTimersByTimeAsync(20);
    expect(slots()).toHaveLength(2);
    for (let value = 30; value < 42; value += 1) {
      edit(value);
      await vi.advanceTimersByTimeAsync(100);
    }
    expect(slots().length).toBeGreaterThanOrEqual(3);
    await vi.advanceTimersByTimeAsync(400);
    const count = slots().length;
    setLive(tab, false);
    edit(50);
    await vi.advanceTimersByTimeAsync(1000);
    expect(slots()).toHaveLength(count);
    stop();
  });

  test("asks once when a run takes long", async () => {
    vi.useFakeTimers();
    server.plan = () => ({ problems: [], nodes: { d: { will: "run", seconds: 60 } }, seconds: 60 });
    const tab = useWorkspace.getState().open(DOCUMENT);
    const stop = watchLive();
    setLive(tab, true);
    await vi.advanceTimersByTimeAsync(10);
    edit(21);
    await vi.advanceTimersByTimeAsync(400);
    expect(slots()).toEqual([]);
    expect(useNotices.getState().list).toHaveLength(1);
    useNotices.getState().list[0]?.actions?.[0]?.run();
    await vi.advanceTimersByTimeAsync(10);
    edit(22);
    await vi.advanceTimersByTimeAsync(400);
    expect(slots()).toHaveLength(2);
    expect(useNotices.getState().list).toHaveLength(0);
    stop();
  });

  test("does not run what has problems, nor wait for a server that is gone", async () => {
    vi.useFakeTimers();
    server.plan = () => ({ problems: [{ severity: "error", code: "bad_value", node: "d", input: null, message: "No." }], nodes: {}, seconds: null });
    const tab = useWorkspace.getState().open(DOCUMENT);
    const stop = watchLive();
    setLive(tab, true);
    await vi.advanceTimersByTimeAsync(10);
    server.gone = true;
    edit(3);
    await vi.advanceTimersByTimeAsync(1000);
    expect([slots(), await settle()]).toEqual([[], undefined]);
    expect(useRuns.getState().unsent.size).toBe(0);
    stop();
  });
});
