/**
 * Node types as `GET /api/v1/nodes` lists them. Read its text with `readJson` (document/json.ts): a default of 3.0 is no 3.
 */
import type { Json } from "../document/types";

export interface Widget {
  readonly kind: string;
  readonly names?: readonly string[];
  readonly [key: string]: Json | undefined;
}

export interface InputType {
  readonly name: string;
  /** As Python writes it: `float`, `list[Image | list[Image]]`, `"auto" | "near"`, `T`. */
  readonly type: string;
  /** What the letters in `type` may stand for; an empty list is anything. */
  readonly variables?: { readonly [letter: string]: readonly string[] };
  readonly required: boolean;
  readonly default?: Json;
  readonly optional?: boolean;
  readonly many?: boolean;
  readonly range?: readonly [number | null, number | null];
  readonly usual?: readonly [number, number];
  readonly choices?: readonly Json[];
  readonly widget?: Widget;
  readonly lazy?: boolean;
  readonly help?: string;
}

export interface OutputType {
  readonly name: string;
  readonly type: string;
  readonly variables?: { readonly [letter: string]: readonly string[] };
}

export interface NodeType {
  readonly name: string;
  readonly version: number;
  readonly category: string;
  readonly summary: string;
  readonly help: string;
  readonly inputs: readonly InputType[];
  readonly outputs: readonly OutputType[];
  readonly output: boolean;
  readonly resource: string;
  readonly cache: string;
  readonly tags: readonly string[];
  readonly origin: string;
}

/** The eight families of data, each with a hue and a shape (DESIGN.md, 3). */
export type Family = "model" | "conditioning" | "guidance" | "control" | "latents" | "image" | "mask" | "value";
