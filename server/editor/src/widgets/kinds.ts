/** Which field an input of the catalogue gets. Every input has one: what nothing else fits is a link, or JSON. */
import { gaugeRange } from "../catalogue/pins";
import type { InputType } from "../catalogue/types";
import type { Json } from "../document/types";
import type { NumberRules } from "./numbers";
import type { Sort } from "./UnionField";

export type Kind =
  | { readonly kind: "number"; readonly rules: NumberRules }
  | { readonly kind: "seed"; readonly rules: NumberRules }
  | { readonly kind: "text"; readonly lines: boolean; readonly optional: boolean }
  | { readonly kind: "choice"; readonly choices: readonly Json[]; readonly segments: boolean }
  | { readonly kind: "switch"; readonly optional: boolean }
  | { readonly kind: "colour" }
  | { readonly kind: "file"; readonly mask: boolean }
  | { readonly kind: "model"; readonly names: readonly string[] }
  | { readonly kind: "list"; readonly item: Kind; readonly fresh: Json | undefined; readonly noun: string }
  | { readonly kind: "table" }
  | { readonly kind: "union"; readonly sorts: readonly Sort[] }
  | { readonly kind: "json" }
  /** Nothing but a link makes such a value. */
  | { readonly kind: "link" };

/** More choices than these, or longer ones, are a list. */
const MOST_SEGMENTS = 3;
const LONGEST_SEGMENTS = 22;

/** The parts of a union, brackets and quotes kept together. */
export function alternatives(type: string): string[] {
  const parts: string[] = [];
  let depth = 0;
  let quoted = false;
  let part = "";
  for (const letter of type) {
    if (letter === '"') quoted = !quoted;
    else if (!quoted && letter === "[") depth += 1;
    else if (!quoted && letter === "]") depth -= 1;
    if (letter === "|" && !quoted && depth === 0) {
      parts.push(part.trim());
      part = "";
    } else part += letter;
  }
  parts.push(part.trim());
  return parts.filter((item) => item !== "");
}

/** What stands in the brackets of `list[...]`, or null. */
export function itemOf(type: string): string | null {
  const found = /^list\[(.*)\]$/.exec(type.trim());
  return found?.[1]?.trim() ?? null;
}

const SORTS: ReadonlySet<string> = new Set(["str", "int", "float", "bool", "list[str]"]);

/** The field of an input of a node type. */
export function kindOf(input: InputType, nodeType?: string): Kind {
  const optional = input.optional === true || alternatives(input.type).includes("none");
  const parts = alternatives(input.type).filter((part) => part !== "none" && part !== "None");
  const type = parts.join(" | ");
  const rules = (whole: boolean, single: boolean): NumberRules => ({
    whole,
    optional: single && optional,
    range: input.range ?? null,
    gauge: single ? gaugeRange(input) : null,
  });

  const item = parts.length === 1 ? itemOf(type) : null;
  if (item !== null) return listOf(item, input, nodeType, rules);

  if (input.choices && input.choices.length > 0) {
    const words = input.choices.map(String).join("");
    const segments = input.choices.length <= MOST_SEGMENTS && words.length <= LONGEST_SEGMENTS;
    return { kind: "choice", choices: optional && !input.choices.includes(null) ? [null, ...input.choices] : input.choices, segments };
  }
  const widget = input.widget?.kind;
  if (widget === "seed" && type === "int") return { kind: "seed", rules: rules(true, true) };
  if (type === "int" || type === "float") return { kind: "number", rules: rules(type === "int", true) };
  if (type === "bool") return { kind: "switch", optional };
  if (type === "str") {
    if (widget === "model") return { kind: "model", names: input.widget?.names ?? [] };
    if (widget === "file") return { kind: "file", mask: /mask/.test(nodeType ?? "") };
    if (widget === "colour" || widget === "color") return { kind: "colour" };
    return { kind: "text", lines: widget === "textarea", optional };
  }
  if (/^dict\[\s*str\s*,\s*(float|int)\s*\]$/.test(type)) return { kind: "table" };
  if (parts.length > 1 && parts.every((part) => SORTS.has(part))) return { kind: "union", sorts: parts as Sort[] };
  if (type === "any" || type === "Any" || /^dict\b/.test(type) || (parts.length > 1 && parts.some((part) => SORTS.has(part)))) return { kind: "json" };
  // A type variable takes whatever is there: a literal as well as a link.
  if (/^[A-Z]$/.test(type)) return { kind: "json" };
  return { kind: "link" };
}

function listOf(item: string, input: InputType, nodeType: string | undefined, rules: (whole: boolean, single: boolean) => NumberRules): Kind {
  const one: InputType = { name: input.name, type: item, required: true, help: input.help ?? "", ...(input.widget && { widget: input.widget }), ...(input.range && { range: input.range }), ...(input.choices && { choices: input.choices }) };
  const inner = item === "int" || item === "float" ? ({ kind: "number", rules: rules(item === "int", false) } as const) : kindOf(one, nodeType);
  const start = Math.max(0, input.range?.[0] ?? 0);
  switch (inner.kind) {
    case "number":
    case "seed":
      return { kind: "list", item: inner, fresh: start, noun: "number" };
    case "text":
      return { kind: "list", item: inner, fresh: "", noun: "text" };
    case "union":
      return { kind: "list", item: inner, fresh: "", noun: "value" };
    case "switch":
      return { kind: "list", item: inner, fresh: false, noun: "switch" };
    case "model":
      return { kind: "list", item: inner, fresh: undefined, noun: "file" };
    case "json":
      return { kind: "list", item: inner, fresh: null, noun: "value" };
    case "choice":
      return { kind: "list", item: inner, fresh: inner.choices[0], noun: "choice" };
    case "colour":
      return { kind: "list", item: inner, fresh: "white", noun: "colour" };
    case "link":
      return { kind: "list", item: inner, fresh: undefined, noun: "link" };
    default:
      return { kind: "list", item: { kind: "json" }, fresh: null, noun: "value" };
  }
}

/** Whether a literal may stand in the input at all. */
export function takesLiteral(kind: Kind): boolean {
  return kind.kind !== "link" && !(kind.kind === "list" && kind.item.kind === "link");
}
