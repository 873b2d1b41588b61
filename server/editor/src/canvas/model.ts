/** What one card shows, as plain values: made from the document and the catalogue, drawn by Card. */
import type { InputType } from "../catalogue/types";
import type { Json } from "../document/types";
import type { Problem } from "../service/types";

/** A place where one thread ends. `handle` is `input`, or `input.0` for one link of a list. */
export interface PortModel {
  readonly handle: string;
  readonly input: string;
  readonly index: number | null;
  readonly type: string;
  /** Types that may go here, as one text: letters are what they may stand for, a list takes its items too. */
  readonly takes: string;
  readonly linked: boolean;
  /** What stands left; empty for the further links of a list. */
  readonly label: string;
  /** The source's name beside the port, for links of a list. */
  readonly source: string | null;
  /** The thread is drawn as a stub and a chip with this name. */
  readonly tag: { readonly node: string; readonly label: string } | null;
  /** Something is wrong with this input: its port has a red ring. */
  readonly bad: boolean;
}

export interface OutModel {
  readonly name: string;
  readonly type: string;
  readonly linked: boolean;
}

export interface RowModel {
  readonly port: PortModel | null;
  readonly out: OutModel | null;
  /** Middle of the row, from the card's top. */
  readonly y: number;
}

export interface FieldModel {
  readonly name: string;
  readonly type: InputType;
  readonly value: Json | undefined;
  readonly y: number;
  readonly height: number;
}

export interface CardModel {
  readonly id: string;
  readonly type: string;
  /** The type of the first output: the mark in the head. */
  readonly makes: string;
  readonly known: boolean;
  readonly definition: boolean;
  readonly collapsed: boolean;
  readonly width: number;
  readonly height: number;
  readonly rows: readonly RowModel[];
  /** Collapsed: the other ports, which lie in the middle of the head. */
  readonly folded: readonly PortModel[];
  readonly foldedOut: readonly OutModel[];
  readonly fields: readonly FieldModel[];
  /** What is not the default and not pinned: "warmup 6 · threshold 0.8". */
  readonly rest: string;
  /** Side of the picture's square; 0 without one. */
  readonly picture: number;
  /** Height of the place for what is wrong; 0 without it. */
  readonly message: number;
  /** "5 nodes inside", for a definition. */
  readonly inside: string;
  /** A bypassed node's thread goes from this row's input to its output. */
  readonly bypassed: boolean;
}

/** A problem with the act that ends it, as buttons. */
export interface ProblemModel {
  readonly problem: Problem;
  readonly fixes: readonly { readonly label: string; readonly run: () => void }[];
}
