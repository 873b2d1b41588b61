import { select } from "d3-selection";
import { beforeEach, expect, test, vi } from "vitest";
import "./viewMoves";

interface Moving {
  interrupt(): Moving;
  transition(): Moving;
  duration(time: number): Moving;
  ease(easing: (at: number) => number): Moving;
  on(names: string, listener: () => void): Moving;
  tween(name: string, tween: () => (at: number) => void): Moving;
}

let frames = new Map<number, (now: number) => void>();
let number = 0;

beforeEach(() => {
  frames = new Map();
  vi.stubGlobal("requestAnimationFrame", (act: (now: number) => void) => {
    frames.set((number += 1), act);
    return number;
  });
  vi.stubGlobal("cancelAnimationFrame", (frame: number) => void frames.delete(frame));
});

function frame(now: number): void {
  const due = [...frames.values()];
  frames.clear();
  for (const act of due) act(now);
}
const chosen = () => select({} as Element) as unknown as Moving;

function watched(of: Moving, said: string[]): Moving {
  return of
    .transition()
    .duration(100)
    .ease((at) => at * at)
    .on("start.zoom", () => said.push("start"))
    .on("interrupt.zoom end.zoom", () => said.push("over"))
    .on("end", () => said.push("end"))
    .tween("zoom", () => (at) => said.push(at.toFixed(2)));
}

test("a movement begins with the next frame, goes by its easing and ends at its end", () => {
  const said: string[] = [];
  watched(chosen(), said);
  expect(said).toEqual([]);
  for (const now of [1000, 1050, 1120, 1200]) frame(now);
  expect(said).toEqual(["start", "0.00", "0.25", "1.00", "over", "end"]);
  expect(frames.size).toBe(0);
});

test("who takes hold of the view ends its movement, and one that had not begun is not told of", () => {
  const said: string[] = [];
  const view = chosen();
  watched(view, said);
  frame(0);
  view.interrupt();
  frame(50);
  expect(said).toEqual(["start", "0.00", "over"]);
  watched(view, said);
  view.interrupt();
  frame(100);
  expect(said).toHaveLength(3);
});

test("a movement takes the place of the one before, in the midst of its step, too", () => {
  const said: string[] = [];
  const view = chosen();
  watched(view, said).tween("other", () => (at) => void (at > 0.2 && watched(view, said)));
  for (const now of [0, 50, 60, 160]) frame(now);
  expect(said).toEqual(["start", "0.00", "0.25", "over", "start", "0.00", "1.00", "over", "end"]);
});
