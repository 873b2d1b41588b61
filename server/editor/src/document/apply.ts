/** Edits on documents: what an edit gives, and the edit that takes it back to the byte. */
import { Draft } from "./draft";
import type { Document, Edit } from "./types";

/** The document after an edit, sharing all that did not change, and the edit that undoes it. */
export function apply(document: Document, edit: Edit): { document: Document; inverse: Edit } {
  const draft = new Draft(document);
  for (const operation of edit.operations) draft.run(operation);
  return { document: draft.document, inverse: draft.inverse(edit.label) };
}

/** Several edits as one act, each made for the document after those before it. */
export function joined(label: string, edits: readonly Edit[]): Edit {
  return { label, operations: edits.flatMap((edit) => edit.operations) };
}
