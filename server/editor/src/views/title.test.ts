import { expect, it } from "vitest";
import { jobOf } from "../../tests/fake-server";
import type { NodeRun } from "../state/types";
import { pageTitle } from "./title";

const tab = { title: "dome", unsaved: false };
const run = (nodes: [string, NodeRun][], of = 4, started: number | null = 1) => ({ job: jobOf("j", { started }), nodes: new Map(nodes), of });

it("tells the tab and how far its run is", () => {
  expect(pageTitle(undefined, undefined)).toBe("Weft");
  expect(pageTitle(tab, undefined)).toBe("dome - Weft");
  expect(pageTitle(tab, run([], 4, null))).toBe("waits · dome - Weft");
  expect(pageTitle(tab, run([], 0))).toBe("runs · dome - Weft");
  expect(pageTitle(tab, run([["a", { state: "cached" }], ["b", { state: "done" }], ["c", { state: "waits" }]]))).toBe("50 % · dome - Weft");
  expect(pageTitle(tab, run([["a", { state: "done" }], ["b", { state: "running", step: 10, total: 25 }]]))).toBe("35 % · dome - Weft");
});
