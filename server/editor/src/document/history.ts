/** What was done to a document, and back. It holds the document alone: not what is chosen, not zoom, not panels. */
import { apply } from "./apply";
import type { Document, Edit, Operation } from "./types";

interface Step {
  readonly edit: Edit;
  readonly inverse: Edit;
  /** Edits of one act have the same name: a drag, a field from focus to take. */
  readonly merge: string | null;
}

/** A document with its past and future; each change gives a new one. */
export class History {
  private constructor(
    readonly document: Document,
    private readonly past: readonly Step[],
    private readonly future: readonly Step[],
  ) {}

  /** The history of a document that was just opened. */
  static of(document: Document): History {
    return new History(document, [], []);
  }

  get canUndo(): boolean {
    return this.past.length > 0;
  }

  get canRedo(): boolean {
    return this.future.length > 0;
  }

  /** What undo takes back, in words; null where there is nothing. */
  get undoLabel(): string | null {
    return this.past.at(-1)?.edit.label ?? null;
  }

  get redoLabel(): string | null {
    return this.future.at(-1)?.edit.label ?? null;
  }

  /** How many steps can be undone. */
  get length(): number {
    return this.past.length;
  }

  /** After an edit. Edits in a row with the same `merge` are one step. An edit that does nothing changes nothing. */
  do(edit: Edit, options: { merge?: string } = {}): History {
    if (edit.operations.length === 0) return this;
    const { document, inverse } = apply(this.document, edit);
    const step: Step = { edit, inverse, merge: options.merge ?? null };
    const last = this.past.at(-1);
    if (last && step.merge !== null && last.merge === step.merge && this.future.length === 0) {
      return new History(document, [...this.past.slice(0, -1), together(last, step)], []);
    }
    return new History(document, [...this.past, step], []);
  }

  undo(): History {
    const last = this.past.at(-1);
    if (!last) return this;
    const { document } = apply(this.document, last.inverse);
    return new History(document, this.past.slice(0, -1), [...this.future, { ...last, merge: null }]);
  }

  redo(): History {
    const next = this.future.at(-1);
    if (!next) return this;
    const { document } = apply(this.document, next.edit);
    return new History(document, [...this.past, next], this.future.slice(0, -1));
  }
}

function together(first: Step, second: Step): Step {
  const label = second.edit.label;
  const operations = overwritten(first.edit.operations, second.edit.operations);
  if (operations) return { edit: { label, operations }, inverse: first.inverse, merge: first.merge };
  return {
    edit: { label, operations: [...first.edit.operations, ...second.edit.operations] },
    inverse: { label, operations: [...second.inverse.operations, ...first.inverse.operations] },
    merge: first.merge,
  };
}

/** A drag has hundreds of edits: where the second sets just what the first set, the first need not be remembered. */
function overwritten(first: readonly Operation[], second: readonly Operation[]): Operation[] | null {
  if (first.length !== second.length) return null;
  const paths = new Set<string>();
  const result: Operation[] = [];
  for (const [index, operation] of first.entries()) {
    const later = second[index];
    const path = JSON.stringify(operation.path);
    if (later?.value === undefined || operation.value === undefined || JSON.stringify(later.path) !== path) return null;
    paths.add(path);
    result.push({ ...operation, value: later.value });
  }
  const apart = first.every(({ path }) => path.every((_, end) => !paths.has(JSON.stringify(path.slice(0, end)))));
  return apart && paths.size === first.length ? result : null;
}
