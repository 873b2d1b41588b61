import { expect, test } from "vitest";
import { EdgeKeeper, type EdgeLooks } from "./flowEdges";
import type { SceneThread } from "./scene";

const thread = (id: string, source: string, target: string): SceneThread => ({ id, source, output: "image", target, handle: "image", type: "Image", tagged: false });
const way = (y: number) => ({ path: `M0 ${y}H10`, corners: [{ x: 0, y }, { x: 10, y }], middle: { x: 5, y } });
const looks = (more: Partial<EdgeLooks> = {}): EdgeLooks => ({
  ways: new Map([["b.image", way(1)], ["c.image", way(2)]]), chosen: new Set(), lookOf: () => "there", reasons: new Map(), known: () => true, ...more,
});
const two = [thread("b.image", "a", "b"), thread("c.image", "a", "c")];

test("halos of one output are drawn once, by its first thread", () => {
  const [first, second] = new EdgeKeeper().edges(two, looks());
  expect(first?.data?.halos).toEqual(["M0 1H10", "M0 2H10"]);
  expect(second?.data?.halos).toEqual([]);
});

test("a thread that did not change is the same object", () => {
  const keeper = new EdgeKeeper();
  const before = keeper.edges(two, looks());
  const after = keeper.edges(two, looks({ reasons: new Map([["c.image", "Image, not Mask"]]) }));
  expect(after[0]).toBe(before[0]);
  expect(after[1]?.data?.look).toBe("bad");
});

test("threads of the chosen are near, others stand back; what leads nowhere is not drawn", () => {
  const edges = new EdgeKeeper().edges(two, looks({ chosen: new Set(["b"]) }));
  expect(edges.map((edge) => [edge.data?.near, edge.data?.far])).toEqual([[true, false], [false, true]]);
  expect(new EdgeKeeper().edges(two, looks({ known: (id) => id !== "c" }))).toHaveLength(1);
});
