import { beforeEach, expect, test } from "vitest";
import { addNode, removeNodes } from "../document/edits";
import { emptyDocument } from "../document/text";
import { tabOf, useWorkspace } from "./workspace";

const { open, edit, undo, redo, select } = useWorkspace.getState();
const document = () => tabOf()?.history.document ?? emptyDocument();

beforeEach(() => {
  useWorkspace.setState({ tabs: [], current: null });
  open(emptyDocument());
});

test("what is gone is neither chosen nor in focus, and what stays is", () => {
  for (const name of ["constructor", "blur"]) edit(addNode(document(), null, name));
  const [first = "", second = ""] = Object.keys(document().nodes);
  select([first, second, "#notes/a"], second);
  const before = tabOf()?.selected;
  edit(removeNodes(document(), null, [second]));
  expect([...(tabOf()?.selected ?? [])]).toEqual([first, "#notes/a"]);
  expect(tabOf()?.focus).toBe(null);
  undo();
  select([first, second], first);
  undo(); // the second was never there
  expect([...(tabOf()?.selected ?? [])]).toEqual([first]);
  expect(tabOf()?.focus).toBe(first);
  redo();
  expect(before?.size).toBe(3);
});
