import { expect, it } from "vitest";
import { apply } from "./apply";
import { replaceDocument } from "./replace";
import { documentText, parseDocument } from "./text";
import { type Document, isRefusal } from "./types";

const read = (text: string): Document => {
  const found = parseDocument(text);
  if (!("document" in found)) throw new Error(found.problem);
  return found.document;
};

it("replaces a document, and undo gives the bytes before", () => {
  const a = read('{"weft": 1, "meta": {"title": "a"}, "nodes": {"x": {"type": "t", "inputs": {"s": 1.0}}}, "extra": 3}');
  const b = read('{"meta": {"title": "b"}, "weft": 1, "nodes": {"y": {"type": "t"}}}');
  const edit = replaceDocument(a, b, "edit as text");
  if (isRefusal(edit)) throw new Error(edit.refused);
  const done = apply(a, edit);
  expect(documentText(done.document)).toBe(documentText(b));
  expect(documentText(apply(done.document, done.inverse).document)).toBe(documentText(a));
});
