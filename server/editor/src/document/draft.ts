/** Operations on a document: each copies what it touches, once, and knows its inverse. */
import { copyOf, has, keysOf, plainOf, removeKey, setKey } from "./objects";
import type { Document, Edit, Json, Operation } from "./types";

type Plain = Record<string, unknown>;
type Path = Operation["path"];

/**
 * A document that is being changed: reads see what was done so far, and `edit` gives it as one edit. What the document shares
 * with the one before is never changed.
 */
export class Draft {
  private root: Plain;
  private readonly fresh = new WeakSet<object>();
  private readonly done: Operation[] = [];
  private readonly undone: Operation[] = [];

  constructor(document: Document) {
    this.root = document as unknown as Plain;
  }

  /** The document as it is by now. Do not keep it beyond the next operation. */
  get document(): Document {
    return this.root as unknown as Document;
  }

  /** Whether nothing was changed. */
  get unchanged(): boolean {
    return this.done.length === 0;
  }

  /** Sets what is at a path; the objects on the way have to be there. A new key stands before `before`, or at the end. */
  set(path: Path, value: unknown, before: string | null = null): this {
    return this.run(before === null ? { path, value } : { path, value, before });
  }

  /** Removes the key at a path, if it is there. */
  remove(path: Path): this {
    return this.get(path) === undefined ? this : this.run({ path });
  }

  /** What is at a path, or undefined. */
  get(path: Path): Json | undefined {
    let value: unknown = this.root;
    for (const key of path) {
      if (typeof value !== "object" || value === null || !has(value, String(key))) return undefined;
      value = (value as Plain)[String(key)];
    }
    return value as Json | undefined;
  }

  /** Does one operation. Throws where its path leads nowhere: edits are made for the document they are applied to. */
  run(operation: Operation): this {
    const { path } = operation;
    const key = path.at(-1);
    if (key === undefined) throw new RangeError("An operation needs a path.");
    const parents = this.open(path);
    const parent = parents.at(-1) as Plain | unknown[];
    if (Array.isArray(parent)) this.inList(parent, Number(key), operation);
    else this.inObject(parents as Plain[], String(key), operation);
    this.done.push(operation);
    return this;
  }

  /** What was done as one edit; the operations of an edit that does nothing are none. */
  edit(label: string): Edit {
    return { label, operations: [...this.done] };
  }

  /** What takes it all back. */
  inverse(label: string): Edit {
    return { label, operations: [...this.undone].reverse() };
  }

  /** The objects from the root to what holds the last key, each a copy of our own. */
  private open(path: Path): object[] {
    this.root = this.own(this.root) as Plain;
    const parents: object[] = [this.root];
    let at: object = this.root;
    for (const key of path.slice(0, -1)) {
      const name = String(key);
      const child = has(at, name) ? (at as Plain)[name] : undefined;
      if (typeof child !== "object" || child === null) {
        throw new RangeError(`There is nothing at ${path.slice(0, parents.length).join(" / ")}.`);
      }
      const copy = this.own(child);
      (at as Plain)[name] = copy;
      parents.push(copy);
      at = copy;
    }
    return parents;
  }

  private own(value: object): object {
    if (this.fresh.has(value)) return value;
    const copy = Array.isArray(value) ? [...(value as unknown[])] : copyOf(value);
    this.fresh.add(copy);
    return copy;
  }

  private inList(list: unknown[], index: number, operation: Operation): void {
    if (!Number.isInteger(index) || index < 0 || index >= list.length || operation.value === undefined) {
      throw new RangeError("An item of a list can be replaced only; set the whole list instead.");
    }
    this.undone.push({ path: operation.path, value: list[index] });
    list[index] = plainOf(operation.value);
  }

  private inObject(parents: Plain[], key: string, operation: Operation): void {
    const { path, value, before } = operation;
    const parent = parents.at(-1) as Plain;
    const there = has(parent, key);
    if (value === undefined) {
      if (!there) throw new RangeError(`There is nothing at ${path.join(" / ")}.`);
      const keys = keysOf(parent);
      this.undone.push({ path, value: parent[key], before: keys[keys.indexOf(key) + 1] ?? null });
      removeKey(parent, key);
      return;
    }
    this.undone.push(there ? { path, value: parent[key] } : { path });
    const changed = setKey(parent, key, plainOf(value), before ?? null);
    if (changed !== parent) {
      this.fresh.add(changed);
      const above = parents.at(-2);
      if (above === undefined) this.root = changed;
      else above[String(path.at(-2))] = changed;
    }
  }
}
