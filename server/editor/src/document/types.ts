/**
 * A workflow document as JSON has it (docs/document.md). Values are never changed in place.
 *
 * Objects of a document have no prototype, so that ids such as `constructor` are plain ids; `keysOf` (objects.ts) gives their
 * keys in the order of the file, which `Object.keys` does not for keys such as "10". A number is a plain number where that
 * says its text, else a `JsonNumber` (numbers.ts): read it with `numberOf`, make it with `jsonNumber`. Ask `isObject` and
 * `isList`, not `typeof`, what a value is. A document is written with `documentText` alone, never with `JSON.stringify`.
 */
import type { JsonNumber } from "./numbers";

export type Json = null | boolean | number | string | JsonNumber | readonly Json[] | { readonly [key: string]: Json };
export type JsonObject = { readonly [key: string]: Json };

/** `{"link": "node"}` is the node's first output, `{"link": "node.output"}` one by name. */
export type Link = { readonly link: string };

export type Mode = "mute" | "bypass";

export interface NodeSpec {
  readonly type: string;
  readonly version?: number;
  readonly mode?: Mode;
  readonly inputs?: JsonObject;
  /** Keys that this version does not know are kept. */
  readonly [key: string]: Json | undefined;
}

export type Nodes = { readonly [id: string]: NodeSpec };

export interface DefinitionInput {
  readonly type?: string;
  readonly default?: Json;
  readonly [key: string]: Json | undefined;
}

export interface DefinitionOutput {
  readonly link: string;
  readonly type?: string;
  readonly [key: string]: Json | undefined;
}

export interface Definition {
  readonly description?: string;
  readonly inputs?: { readonly [name: string]: DefinitionInput };
  readonly nodes: Nodes;
  readonly outputs?: { readonly [name: string]: DefinitionOutput };
  readonly [key: string]: Json | undefined | Nodes | object;
}

export interface Parameter {
  readonly input: string;
  readonly [key: string]: Json | undefined;
}

/** Where a card stands and how it looks. Absent: laid out when shown. */
export interface CardUi {
  readonly x?: number;
  readonly y?: number;
  readonly width?: number;
  readonly collapsed?: boolean;
  /** Inputs shown on the card beyond those pinned at first, and those of the first that are not shown. */
  readonly pinned?: readonly string[];
  readonly unpinned?: readonly string[];
  /** Inputs whose thread is drawn as a tag: `input` or `input.0`. */
  readonly tags?: readonly string[];
  readonly [key: string]: Json | undefined;
}

export interface GroupUi {
  readonly name: string;
  readonly x: number;
  readonly y: number;
  readonly width: number;
  readonly height: number;
  readonly nodes: readonly string[];
  readonly colour?: string;
}

export interface NoteUi {
  readonly text: string;
  readonly x: number;
  readonly y: number;
  readonly width: number;
  readonly height?: number;
}

/** A bend in the threads of one link: `target` is `node.input` or `node.input.0`. */
export interface RerouteUi {
  readonly target: string;
  readonly x: number;
  readonly y: number;
}

/**
 * What the editor remembers of one graph: cards by node id, and under keys that no id can have what is no node.
 * The root's stands in the document's `ui`, that of a definition in `ui["#definitions"][name]`.
 */
export interface GraphUi {
  readonly "#groups"?: { readonly [id: string]: GroupUi };
  readonly "#notes"?: { readonly [id: string]: NoteUi };
  readonly "#reroutes"?: { readonly [id: string]: RerouteUi };
}

export interface Document {
  readonly weft: number;
  readonly meta?: { readonly title?: string; readonly description?: string; readonly [key: string]: Json | undefined };
  readonly nodes: Nodes;
  readonly definitions?: { readonly [name: string]: Definition };
  readonly parameters?: { readonly [name: string]: Parameter };
  readonly ui?: JsonObject;
  readonly [key: string]: unknown;
}

/** Which graph of a document: the root is null, else the name of a definition. */
export type Place = string | null;

/** One step of an edit: sets or removes what is at a path. */
export interface Operation {
  readonly path: readonly (string | number)[];
  /** Absent: the key is removed. */
  readonly value?: unknown;
  /** The key before which a new one stands; absent or null: at the end. Order of keys is part of the bytes. */
  readonly before?: string | null;
}

/** A change of a document. `label` says it in the history: "connect prompt to cfg". */
export interface Edit {
  readonly label: string;
  readonly operations: readonly Operation[];
}

/** Why an edit cannot be made, in a sentence for the reader. */
export interface Refusal {
  readonly refused: string;
}

export type Attempt = Edit | Refusal;

/** An edit that also made something with an id: a node, a group, a definition. */
export type Made = (Edit & { readonly id: string }) | Refusal;

/** Whether an edit cannot be made. */
export function isRefusal(attempt: object): attempt is Refusal {
  return "refused" in attempt;
}

/**
 * What edits ask of those who know node types. The catalogue is one (catalogue/catalogue.ts): the document does not know it.
 * A source with the node "inputs" is an input of the definition.
 */
export interface Wiring {
  /** Why an output may not go to an input or an item of it, in a sentence; null where it may. */
  whyNotLink(document: Document, place: Place, source: SourceEnd, target: TargetEnd): string | null;
  /** Whether an input takes a list, to which links are added. */
  isMany(document: Document, place: Place, node: string, input: string): boolean;
  /** The input of a node that an output goes to best: a free one before one that is set. null where none takes it. */
  bestInput(document: Document, place: Place, source: SourceEnd, node: string): string | null;
  /** The output of a node that an input takes, the first of them. */
  bestOutput(document: Document, place: Place, node: string, target: TargetEnd): string | null;
  /** What goes on in the place of a node's output when the node is taken out, as a bypassed node passes on. */
  passes(document: Document, place: Place, node: string, output: string | null): Json | undefined;
}

export interface SourceEnd {
  readonly node: string;
  /** Absent or null: the first one. */
  readonly output?: string | null;
}

export interface TargetEnd {
  readonly node: string;
  readonly input: string;
  /** The item of a list input; absent or null: the input as a whole. */
  readonly index?: number | null;
}
