import { expect, test } from "vitest";
import { canvasId, handleOf, inputOfHandle, ofKind, parted } from "./ids";

test("ids of nodes and of what is no node do not mix", () => {
  expect(parted("constructor")).toEqual({ kind: "node", id: "constructor" });
  expect(parted(canvasId("group", "constructor"))).toEqual({ kind: "group", id: "constructor" });
  expect(parted("#inputs").kind).toBe("inputs");
  expect(ofKind(["a", "#notes/a", "#groups/b", "c"], "node")).toEqual(["a", "c"]);
});

test("handles name an input, or one link of its list", () => {
  expect(inputOfHandle(handleOf("guidance", 2))).toEqual({ input: "guidance", index: 2 });
  expect(inputOfHandle(handleOf("model", null))).toEqual({ input: "model", index: null });
});
