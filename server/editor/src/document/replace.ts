/** Another document in the place of this one, as one edit. */
import type { Attempt, Document, Operation } from "./types";

/** Replaces the whole of a document: undo brings back the one before, byte by byte. */
export function replaceDocument(document: Document, next: Document, label: string): Attempt {
  const operations: Operation[] = [];
  // All keys go and come anew, since their order is part of the bytes.
  for (const key of Object.keys(document)) operations.push({ path: [key] });
  for (const key of Object.keys(next)) operations.push({ path: [key], value: next[key] });
  return { label, operations };
}
