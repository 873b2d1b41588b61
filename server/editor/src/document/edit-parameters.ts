/** Edits of what a caller sees of a workflow: its parameters, title and description. */
import { Draft } from "./draft";
import { linkParts, nodeOf } from "./graph";
import { entriesOf, has } from "./objects";
import { erase, put, renameKey, write } from "./parts";
import type { Attempt, Document } from "./types";

/** Gives an input a name by which callers set it: `target` is `node.input`. */
export function setParameter(document: Document, name: string, target: string): Attempt {
  const { node, output: input } = linkParts(target);
  if (name === "") return { refused: "A parameter needs a name." };
  if (!nodeOf(document, null, node) || !input) return { refused: `There is no input ${target} in this workflow.` };
  const draft = new Draft(document);
  if (draft.get(["parameters", name]) === undefined) write(draft, ["parameters", name], { input: target });
  else draft.set(["parameters", name, "input"], target);
  return draft.edit(`name ${target} ${name}`);
}

export function removeParameter(document: Document, name: string): Attempt {
  if (!has(document.parameters, name)) return { refused: `There is no parameter ${name}.` };
  const draft = new Draft(document);
  erase(draft, ["parameters", name]);
  return draft.edit(`remove the parameter ${name}`);
}

/** Gives a parameter another name; it keeps its place. */
export function renameParameter(document: Document, name: string, newName: string): Attempt {
  if (!has(document.parameters, name)) return { refused: `There is no parameter ${name}.` };
  if (newName === "") return { refused: "A parameter needs a name." };
  if (newName !== name && has(document.parameters, newName)) return { refused: `There is a parameter ${newName} already.` };
  const draft = new Draft(document);
  renameKey(draft, ["parameters", name], newName);
  return draft.edit(`rename ${name} to ${newName}`);
}

/** The parameter that sets an input, or null. */
export function parameterOf(document: Document, target: string): string | null {
  return entriesOf(document.parameters).find(([, parameter]) => parameter.input === target)?.[0] ?? null;
}

/** Sets title and description; an empty text takes one away, undefined leaves it. */
export function setMeta(document: Document, title?: string, description?: string): Attempt {
  const draft = new Draft(document);
  for (const [key, text] of [["title", title], ["description", description]] as const) {
    if (text !== undefined && draft.get(["meta", key]) !== (text === "" ? undefined : text)) {
      put(draft, ["meta", key], text === "" ? undefined : text);
    }
  }
  return draft.edit("change title and description");
}
