/** What is wrong with a document, as the server says it (graphs/problems.py). */
import { lengthOf } from "./json";
import { jsonText } from "./json";
import type { Json } from "./types";

export type Code =
  | "bad_document"
  | "unknown_node_type"
  | "unknown_input"
  | "missing_input"
  | "bad_value"
  | "out_of_range"
  | "not_a_choice"
  | "unknown_link"
  | "unknown_output"
  | "type_mismatch"
  | "cycle"
  | "no_output"
  | "conflict"
  | "too_large"
  | "path_outside_root"
  | "unknown_version";

export interface Problem {
  readonly severity: "error" | "warning";
  readonly code: Code;
  readonly node: string | null;
  readonly input: string | null;
  readonly message: string;
  readonly given: Json;
  readonly expected: Json;
  readonly suggestion: string | null;
}

/** A problem with what is not said as null. */
export function problem(code: Code, message: string, more: Partial<Problem> = {}): Problem {
  const blank = { severity: "error", node: null, input: null, given: null, expected: null, suggestion: null } as const;
  return { ...blank, ...more, code, message: message.replace(/([\p{L}\p{N}_)"'`\]}][.?!])\.(?=\s|$)/gu, "$1") };
}

/** A value for a message: JSON on one line, cut in the middle beyond `limit` characters. */
export function shown(value: unknown, limit = 60): string {
  const text = value === undefined ? "null" : jsonText(value);
  if (lengthOf(text) <= limit) return text;
  const characters = Array.from(text);
  const half = Math.floor((limit - 3) / 2);
  return `${characters.slice(0, half).join("")}...${characters.slice(-half).join("")}`;
}
