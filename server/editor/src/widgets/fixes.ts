/** What a problem of a field offers: the nearest value, the suggestion, a link less. The same for the field, the card and the list. */
import { entriesOf } from "../document/objects";
import type { InputType } from "../catalogue/types";
import type { Json } from "../document/types";
import type { Problem } from "../service/types";
import { multiplesAround, readNumber } from "./numbers";
import { kindOf } from "./kinds";
import { numberJson, numberText, valueWords } from "./values";

export type Fix =
  | { readonly act: "set"; readonly label: string; readonly value: Json }
  | { readonly act: "unlink" | "link" | "choose-file" | "remove" | "reset"; readonly label: string }
  | { readonly act: "rename"; readonly label: string; readonly to: string };

/** The fixes of one problem, the likeliest first. `set`: which inputs of the node have a value, so that none is written over. */
export function fixesOf(problem: Problem, input: InputType | undefined, value: Json | undefined, set: (input: string) => boolean = () => false): Fix[] {
  switch (problem.code) {
    case "unknown_input": {
      const fixes: Fix[] = problem.suggestion && !set(problem.suggestion) ? [{ act: "rename", label: `Rename to ${problem.suggestion}`, to: problem.suggestion }] : [];
      return [...fixes, { act: "remove", label: "Remove" }];
    }
    case "missing_input":
      return [{ act: "link", label: "Link" }];
    case "unknown_link":
    case "unknown_output": {
      const fixes: Fix[] = problem.suggestion ? [{ act: "set", label: problem.suggestion, value: { link: problem.suggestion } }] : [];
      return [...fixes, { act: "unlink", label: "Unlink" }];
    }
    case "type_mismatch":
    case "cycle":
      return [{ act: "unlink", label: "Unlink" }];
    case "path_outside_root":
      return [{ act: "choose-file", label: "Choose a file" }];
    case "bad_value":
    case "out_of_range":
    case "not_a_choice":
      return input ? valueFixes(problem, input, value) : [];
    default:
      return [];
  }
}

function valueFixes(problem: Problem, input: InputType, value: Json | undefined): Fix[] {
  const set = (json: Json): Fix => ({ act: "set", label: valueWords(json), value: json });
  const kind = kindOf(input);
  if (kind.kind === "number" || kind.kind === "seed") {
    const text = numberText(value) ?? (typeof value === "string" ? value : null);
    const multiple = /multiple of (\d{1,4})/.exec(problem.message);
    if (multiple && text !== null) {
      const around = multiplesAround(text, Number(multiple[1]));
      if (around) return around.filter((item) => "text" in readNumber(item, kind.rules)).map((item) => set(numberJson(item, kind.rules.whole)));
    }
    const read = text === null ? null : readNumber(text, kind.rules);
    if (read && "problem" in read && read.nearest !== undefined) return [set(numberJson(read.nearest, kind.rules.whole))];
    // A number in quotes is a text to the engine.
    if (read && "text" in read && typeof value === "string") return [set(numberJson(read.text, kind.rules.whole))];
  }
  if (problem.suggestion) return [set(problem.suggestion)];
  if (kind.kind === "choice" && kind.choices.length <= 3) return kind.choices.map(set);
  return input.default === undefined ? [] : [{ act: "reset", label: `Default ${valueWords(input.default)}` }];
}

/** The problems of one input; those of a run are named `use/inner` inside a definition. */
export function problemsOf(problems: readonly Problem[], node: string, input: string): Problem[] {
  return problems.filter((problem) => problem.node === node && problem.input === input);
}

/** Inputs that a document has and the type does not: they are kept, and shown as they are. */
export function unknownInputs(inputs: { readonly [key: string]: Json } | undefined, known: readonly InputType[]): [string, Json][] {
  const names = new Set(known.map((input) => input.name));
  return entriesOf(inputs).filter(([name]) => !names.has(name));
}
