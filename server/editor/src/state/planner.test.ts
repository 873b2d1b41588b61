import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { type Asked, type FakeServer, fakeServer, settle } from "../../tests/fake-server";
import { move, setInput } from "../document/edits";
import type { Document } from "../document/types";
import type { JobEvent, Plan } from "../service/types";
import { planAgain, readyForSilence, resetPlanner, watchPlans } from "./planner";
import { planOf } from "./plans";
import { jobFromEvent } from "./reduce";
import { giveToTab, takeJob } from "./runs";
import { tabOf, useWorkspace } from "./workspace";

let server: FakeServer;
let stop: () => void;
const DOCUMENT = {
  weft: 1,
  nodes: { a: { type: "x", inputs: { v: 1 } }, b: { type: "x", inputs: { w: { link: "a" } } }, c: { type: "x", inputs: {} } },
} as unknown as Document;

beforeEach(() => {
  vi.useFakeTimers();
  server = fakeServer();
  resetPlanner();
  useWorkspace.setState({ tabs: [], current: null });
});
afterEach(() => stop());

function open(): string {
  const tab = useWorkspace.getState().open(DOCUMENT);
  stop = watchPlans();
  return tab;
}
const document = () => tabOf()?.history.document ?? DOCUMENT;
const edit = (value: number) => useWorkspace.getState().edit(setInput(document(), null, "a", "v", value));
const valueOf = (asked: Asked) => (asked.body as { workflow: Document }).workflow.nodes["a"]?.inputs?.["v"];

describe("plans", () => {
  test("are asked for 150 ms after an edit, once for many of them, and not for a card that moves", async () => {
    const tab = open();
    server.plan = () => ({ problems: [], nodes: { a: { will: "run", seconds: 2 }, b: { will: "cached", tier: "disk" } }, seconds: 2 });
    for (let value = 0; value < 10; value += 1) edit(value);
    await vi.advanceTimersByTimeAsync(149);
    expect(server.of("/plan")).toHaveLength(0);
    await vi.advanceTimersByTimeAsync(2);
    expect(server.of("/plan").map(valueOf)).toEqual([9]);
    expect(planOf(tab)).toMatchObject({ asked: "known", seconds: 2, counts: { run: 1, of: 2 } });
    useWorkspace.getState().edit(move(document(), null, { a: { x: 8, y: 8 } }));
    await vi.advanceTimersByTimeAsync(1000);
    expect(server.of("/plan")).toHaveLength(1);
  });

  test("files that would be written again are nothing to do; new ones are", async () => {
    const tab = open();
    const saves = { will: "run", writes: true, seconds: 0 } as const;
    const why = [{ what: "input", input: "name", was: "x", now: "y" }] as const;
    const plans: [NonNullable<Plan["nodes"]>, number][] = [
      [{ a: { will: "skip" }, b: { will: "cached", tier: "disk" }, c: saves }, 0],
      [{ a: { will: "skip" }, b: { will: "cached", tier: "disk" }, c: { ...saves, why } }, 1],
      [{ a: { will: "run" }, b: { will: "cached", tier: "disk" }, c: saves }, 2],
    ];
    for (const [place, [nodes, run]] of plans.entries()) {
      server.plan = () => ({ problems: [], nodes, seconds: 0 });
      edit(100 + place);
      await vi.advanceTimersByTimeAsync(151);
      expect(planOf(tab).counts).toEqual({ run, of: 3 });
      expect(planOf(tab).nodes.get("c")?.rewrites ?? false).toBe(run === 0);
    }
    // The server was started again and compares with another run: this tab knows that it ran this.
    server.plan = () => ({ problems: [], nodes: plans[1]?.[0] ?? {}, seconds: 0 });
    takeJob({ ...jobFromEvent({ event: "job_queued", job: "j", seq: 0, time: 0 } as JobEvent), state: "done" }, { tab, document: document() });
    giveToTab("j", tab);
    planAgain();
    await vi.advanceTimersByTimeAsync(151);
    expect(planOf(tab).counts).toEqual({ run: 0, of: 3 });
  });

  test("one is under way at most, and the latest document wins", async () => {
    const tab = open();
    const waiting: ((plan: Plan) => void)[] = [];
    server.plan = () => new Promise((give) => waiting.push(give));
    await vi.advanceTimersByTimeAsync(151);
    for (const value of [5, 6, 7]) {
      edit(value);
      await vi.advanceTimersByTimeAsync(500);
    }
    expect(waiting).toHaveLength(1);
    waiting[0]?.({ problems: [], nodes: { a: { will: "run" } }, seconds: 1 });
    await vi.advanceTimersByTimeAsync(1);
    expect(server.of("/plan").map(valueOf)).toEqual([1, 7]);
    expect(planOf(tab).asked).toBe("asking");
    waiting[1]?.({ problems: [], nodes: {}, seconds: 3 });
    await vi.advanceTimersByTimeAsync(1);
    expect(planOf(tab)).toMatchObject({ asked: "known", seconds: 3 });
  });

  test("who drags for long gets plans on the way", async () => {
    open();
    for (let value = 0; value < 20; value += 1) {
      edit(value);
      await vi.advanceTimersByTimeAsync(50);
    }
    expect(server.of("/plan").length).toBeGreaterThanOrEqual(5);
  });

  test("what has no part in a problem is planned without it", async () => {
    const tab = open();
    const problem = { severity: "error", code: "bad_value", node: "a", input: "v", message: "No." } as const;
    server.plan = ({ body }) => {
      const { workflow, targets } = body as { workflow: Document; targets: string[] };
      if (workflow.nodes["a"]?.mode !== "mute") return { problems: [problem], nodes: {}, seconds: null };
      expect(targets).toEqual(["c"]);
      return { problems: [], nodes: { c: { will: "run", seconds: 1 } }, seconds: 1 };
    };
    await vi.advanceTimersByTimeAsync(151);
    expect(planOf(tab).problems).toEqual([problem]);
    expect([...planOf(tab).nodes]).toEqual([["c", { will: "run", seconds: 1 }]]);
  });

  test("silence is asked again when the server is back", async () => {
    await readyForSilence();
    const tab = open();
    server.gone = true;
    await vi.advanceTimersByTimeAsync(151);
    expect(planOf(tab)).toMatchObject({ asked: "failed", problems: [] });
    // What is wrong with the form is said all the same.
    useWorkspace.getState().edit(setInput(document(), null, "b", "w", { link: "nobody" }));
    await vi.advanceTimersByTimeAsync(151);
    expect(planOf(tab).problems.map(({ code, node }) => [code, node])).toEqual([["unknown_link", "b"]]);
    useWorkspace.getState().undo();
    server.gone = false;
    planAgain();
    await vi.advanceTimersByTimeAsync(151);
    expect(planOf(tab).asked).toBe("known");
  });

  test("a tab that is closed while it is asked about is no trouble", async () => {
    const tab = open();
    let give: (plan: Plan) => void = () => {};
    server.plan = () => new Promise((done) => void (give = done));
    await vi.advanceTimersByTimeAsync(151);
    useWorkspace.getState().close(tab);
    give({ problems: [], nodes: {}, seconds: 0 });
    await settle();
    expect(planOf(tab).asked).toBe("never");
  });
});
