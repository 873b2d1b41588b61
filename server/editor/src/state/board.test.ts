/** Twenty events a second in a graph of a thousand nodes wake one card each. */
import { beforeEach, describe, expect, test, vi } from "vitest";
import { fakeServer, jobOf } from "../../tests/fake-server";
import type { Document } from "../document/types";
import type { JobEvent } from "../service/types";
import { nodeFace, onFace } from "./board";
import { usePlan } from "./plans";
import { flushEvents, giveToTab, takeEvent, takeJob } from "./runs";
import { useWorkspace } from "./workspace";
import { setInput, move } from "../document/edits";

const COUNT = 1000;

function chain(count: number): Document {
  const nodes: Record<string, { type: string; inputs: Record<string, unknown> }> = {};
  for (let index = 0; index < count; index += 1) {
    nodes[`n${index}`] = { type: "blur", inputs: index === 0 ? {} : { image: { link: `n${index - 1}` } } };
  }
  return { weft: 1, nodes } as unknown as Document;
}

const event = (name: string, node: string | null, more: Partial<JobEvent> = {}): JobEvent => ({ event: name, node, job: "j", time: 5, ...more });

beforeEach(() => {
  vi.useFakeTimers({ now: 5000 });
  fakeServer();
});

function opened() {
  const document = chain(COUNT);
  const tab = useWorkspace.getState().open(document);
  takeJob(jobOf("j", { state: "running", started: 1 }), { document, tab });
  giveToTab("j", tab);
  const woken = new Map<string, number>();
  for (let index = 0; index < COUNT; index += 1) {
    const id = `n${index}`;
    nodeFace(tab, id);
    onFace(tab, id, () => woken.set(id, (woken.get(id) ?? 0) + 1));
  }
  return { tab, woken };
}

describe("faces", () => {
  test("an event wakes the card that it is about and no other", () => {
    const { tab, woken } = opened();
    for (let step = 1; step <= 20; step += 1) {
      takeEvent(event("node_progress", "n500", { step, total: 20 }));
      flushEvents();
    }
    expect([...woken]).toEqual([["n500", 20]]);
    expect(nodeFace(tab, "n500").words).toBe("step 20 of 20");
  });

  test("events of one frame are taken together", () => {
    const { woken } = opened();
    for (let step = 1; step <= 20; step += 1) takeEvent(event("node_progress", "n3", { step, total: 20 }));
    expect(woken.size).toBe(0);
    vi.advanceTimersByTime(20);
    expect([...woken]).toEqual([["n3", 1]]);
  });

  test("a face that stays the same is the same object, and nobody is woken", () => {
    const { tab, woken } = opened();
    const before = nodeFace(tab, "n1");
    const { document } = useWorkspace.getState().tabs.find(({ id }) => id === tab)?.history ?? { document: chain(1) };
    useWorkspace.getState().edit(move(document, null, { n1: { x: 8, y: 8 } }), { tab });
    expect(woken.size).toBe(0);
    expect(nodeFace(tab, "n1")).toBe(before);
  });

  test("twenty events a second cost little of it", () => {
    opened();
    vi.useRealTimers();
    const begin = performance.now();
    for (let step = 1; step <= 200; step += 1) {
      takeEvent(event("node_progress", `n${step}`, { step: 1, total: 2 }));
      flushEvents();
    }
    // Ten seconds of events: far below one second, on busy cores too.
    expect(performance.now() - begin).toBeLessThan(1000);
  });

  test("a failure is told to those that wait for it", () => {
    const { tab, woken } = opened();
    const error = { node: "n998", type: "blur", exception: "E", message: "No.", traceback: "" };
    takeEvent(event("node_failed", "n998", { error }));
    flushEvents();
    expect(nodeFace(tab, "n998")).toMatchObject({ state: "failed", message: "No." });
    expect(nodeFace(tab, "n999")).toMatchObject({ state: "blocked", words: "n998 failed" });
    expect([...woken.keys()].sort()).toEqual(["n998", "n999"]);
  });

  test("what is muted leaves out what takes from it; problems block what comes after", () => {
    const document = {
      weft: 1,
      nodes: {
        a: { type: "blur", mode: "mute" },
        b: { type: "blur", inputs: { image: { link: "a" } } },
        c: { type: "blur", inputs: {} },
        d: { type: "blur", inputs: { image: { link: "c" } } },
      },
    } as unknown as Document;
    const tab = useWorkspace.getState().open(document);
    const problem = { severity: "error" as const, code: "missing_input", node: "c", input: "image", message: "An image is needed." };
    usePlan.getState().set(tab, { asked: "known", problems: [problem], about: document });
    expect(["a", "b", "c", "d"].map((id) => nodeFace(tab, id).words)).toEqual(["muted", "left out, a is muted", "1 problem", "waits for c"]);
  });

  test("the inside of a definition has faces by the way to it; its use has their sum", () => {
    const document = {
      weft: 1,
      nodes: { draw: { type: "picture" } },
      definitions: { picture: { nodes: { a: { type: "blur" }, b: { type: "blur" } } } },
    } as unknown as Document;
    const tab = useWorkspace.getState().open(document);
    const nodes = new Map([
      ["draw/a", { will: "cached", tier: "memory" } as const],
      ["draw/b", { will: "run", seconds: 2 } as const],
    ]);
    usePlan.getState().set(tab, { asked: "known", nodes, about: document });
    const words = ["draw", "draw/a", "draw/b"].map((path) => `${nodeFace(tab, path).words} ${nodeFace(tab, path).aside}`.trim());
    expect(words).toEqual(["will run ≈ 2 s", "from memory", "will run ≈ 2 s"]);
    expect(nodeFace(tab, "draw/nothing").words).toBe("not asked yet");
  });

  test("done stays until something that runs is edited, and comes back with undo", () => {
    const document = chain(2);
    const tab = useWorkspace.getState().open(document);
    takeJob(jobOf("k", { state: "done", started: 1, finished: 2 }), { document, tab });
    giveToTab("k", tab);
    takeEvent({ ...event("node_finished", "n0", { seconds: 0.1 }), job: "k" });
    flushEvents();
    usePlan.getState().set(tab, { asked: "known", nodes: new Map([["n0", { will: "cached", tier: "disk" }]]), about: document });
    expect(nodeFace(tab, "n0").words).toBe("done");
    useWorkspace.getState().edit(setInput(document, null, "n1", "sigma", 3), { tab });
    expect(nodeFace(tab, "n0").words).toBe("from disk");
    useWorkspace.getState().undo(tab);
    expect(nodeFace(tab, "n0").words).toBe("done");
  });
});
