/** Edits of nodes and their values. */
import { Draft } from "./draft";
import { passOn } from "./edit-links";
import {
  freshId, graphOf, idFault, inputOf, inputsOf, isDefinition, isLink, linkParts, linkText, linksOfNode, nodeOf, nodesPath,
  uiPath,
} from "./graph";
import { entriesOf, has, isList, isObject, own, sameJson } from "./objects";
import { changeEnds, erase, inputPath, put, renameKey, write } from "./parts";
import { sizeFault } from "./sizes";
import type { Attempt, Document, Json, JsonObject, Made, Mode, NodeSpec, Place, Wiring } from "./types";

export interface NewNode {
  readonly id?: string;
  readonly x?: number;
  readonly y?: number;
  readonly inputs?: JsonObject;
}

/** A new node of a type of the catalogue or of a definition of the document; what is made has the id it got. */
export function addNode(document: Document, place: Place, type: string | { readonly name: string }, options: NewNode = {}): Made {
  const draft = new Draft(document);
  const made = addNodeIn(draft, place, type, options);
  return "refused" in made ? made : { ...draft.edit(`add ${made.id}`), id: made.id };
}

/** Adds a node in a draft. */
export function addNodeIn(
  draft: Draft,
  place: Place,
  type: string | { readonly name: string },
  options: NewNode = {},
): { id: string } | { refused: string } {
  const name = typeof type === "string" ? type : type.name;
  const { nodes } = graphOf(draft.document, place);
  if (place !== null && contains(draft.document, name, place)) {
    return { refused: name === place ? "A definition cannot use itself." : `${name} uses ${place}, so it cannot stand inside it.` };
  }
  const id = options.id !== undefined && idFault(options.id, place) === null && !has(nodes, options.id) ? options.id : freshId(nodes, options.id ?? name);
  const inputs = options.inputs && Object.keys(options.inputs).length > 0 ? { inputs: options.inputs } : {};
  draft.set([...nodesPath(place), id], { type: name, ...inputs });
  const large = sizeFault(draft.document);
  if (large !== null) return { refused: large };
  if (options.x !== undefined && options.y !== undefined) {
    write(draft, [...uiPath(place), id], { x: Math.round(options.x), y: Math.round(options.y) });
  }
  return { id };
}

/** Whether a definition is another one, or uses it at any depth. */
export function contains(document: Document, outer: string, inner: string): boolean {
  const seen = new Set<string>();
  const stack = [outer];
  for (let name = stack.pop(); name !== undefined; name = stack.pop()) {
    if (!isDefinition(document, name) || seen.has(name)) continue;
    if (name === inner) return true;
    seen.add(name);
    for (const [, spec] of entriesOf(graphOf(document, name).nodes)) stack.push(spec.type);
  }
  return false;
}

/**
 * Removes nodes with their wires, parameters and places. With `keepWires` what went through a node goes on without it, as far
 * as types allow.
 */
export function removeNodes(
  document: Document,
  place: Place,
  ids: Iterable<string>,
  options: { readonly keepWires?: Wiring } = {},
): Attempt {
  const gone = [...new Set(ids)].filter((id) => nodeOf(document, place, id));
  if (gone.length === 0) return { refused: "Nothing is chosen." };
  const draft = new Draft(document);
  removeNodesIn(draft, place, gone, options.keepWires ?? null);
  return draft.edit(gone.length === 1 ? `delete ${gone[0]}` : `delete ${gone.length} nodes`);
}

/** Removes nodes in a draft. */
export function removeNodesIn(draft: Draft, place: Place, ids: readonly string[], wiring: Wiring | null): void {
  const gone = new Set(ids);
  passOn(draft, place, ids, wiring);
  for (const id of ids) draft.remove([...nodesPath(place), id]);
  changeEnds(draft, place, (end) => (gone.has(end.node) ? null : end));
  for (const id of ids) erase(draft, [...uiPath(place), id]);
  changeMembers(draft, place, (id) => (gone.has(id) ? null : id));
  if (place !== null) return;
  for (const [name, parameter] of entriesOf(draft.document.parameters)) {
    if (gone.has(linkParts(parameter.input).node)) erase(draft, ["parameters", name]);
  }
}

/** Gives the members of groups other names; null takes one out. A group that loses its last member stays, empty. */
export function changeMembers(draft: Draft, place: Place, change: (id: string) => string | null): void {
  const groups = draft.get([...uiPath(place), "#groups"]);
  for (const [key, group] of isObject(groups) ? entriesOf(groups) : []) {
    const members = isObject(group) ? own(group, "nodes") : undefined;
    if (!isList(members)) continue;
    const changed = members.flatMap((id) => (typeof id === "string" ? (change(id) ?? []) : []));
    if (!sameJson(members, changed)) draft.set([...uiPath(place), "#groups", key, "nodes"], changed);
  }
}

/** Sets an input to a value as documents have it: a literal (see `writtenLiteral`), a link, or a list of these. */
export function setInput(document: Document, place: Place, node: string, input: string, value: Json): Attempt {
  if (!nodeOf(document, place, node)) return { refused: `There is no node ${node} here.` };
  if (input === "") return { refused: "An input needs a name." };
  const draft = new Draft(document);
  const old = inputOf(document, place, node, input);
  if (old === undefined || !sameJson(old, value)) {
    write(draft, inputPath(place, node, input), value);
    changeEnds(draft, place, (end) => {
      if (end.node !== node || end.input !== input) return end;
      const at = end.index === null ? value : isList(value) ? value[end.index] : undefined;
      return isLink(at) ? end : null;
    });
  }
  return draft.edit(`set ${node}.${input}`);
}

/** Sets an input of several nodes at once. */
export function setInputs(document: Document, place: Place, values: Iterable<readonly [node: string, input: string, value: Json]>): Attempt {
  const draft = new Draft(document);
  let label = "";
  for (const [node, input, value] of values) {
    const attempt = setInput(draft.document, place, node, input, value);
    if ("refused" in attempt) return attempt;
    label = label === "" ? attempt.label : "set values";
    for (const operation of attempt.operations) draft.run(operation);
  }
  return draft.edit(label);
}

/** Takes a value or link of an input away, so that it has its default. */
export function resetInput(document: Document, place: Place, node: string, input: string): Attempt {
  if (inputOf(document, place, node, input) === undefined) return { refused: `${node}.${input} has its default already.` };
  const draft = new Draft(document);
  erase(draft, inputPath(place, node, input));
  changeEnds(draft, place, (end) => (end.node === node && end.input === input ? null : end));
  return draft.edit(`reset ${node}.${input}`);
}

/** Gives an input of a node another name, as when its type calls it so now. */
export function renameInput(document: Document, place: Place, node: string, input: string, name: string): Attempt {
  const spec = nodeOf(document, place, node);
  if (!spec || !has(inputsOf(spec), input)) return { refused: `${node} has no value for ${input}.` };
  if (name === "" || has(inputsOf(spec), name)) return { refused: `${node} has a value for ${name} already.` };
  const draft = new Draft(document);
  renameInputIn(draft, place, node, input, name);
  return draft.edit(`rename ${node}.${input}`);
}

/** Renames an input in a draft, with all that names it. */
export function renameInputIn(draft: Draft, place: Place, node: string, input: string, name: string): void {
  renameKey(draft, inputPath(place, node, input), name);
  changeEnds(draft, place, (end) => (end.node === node && end.input === input ? { ...end, input: name } : end));
  for (const key of ["pinned", "unpinned"]) {
    const path = [...uiPath(place), node, key];
    const names = draft.get(path);
    if (isList(names) && names.includes(input)) draft.set(path, names.map((one) => (one === input ? name : one)));
  }
  if (place === null) changeParameters(draft, (id, one) => (id === node && one === input ? `${node}.${name}` : null));
}

/** Gives parameters other targets; `change` gives the new one, or null for the old. */
export function changeParameters(draft: Draft, change: (node: string, input: string) => string | null): void {
  for (const [name, parameter] of entriesOf(draft.document.parameters)) {
    const { node, output } = linkParts(parameter.input);
    const target = change(node, output ?? "");
    if (target !== null && target !== parameter.input) draft.set(["parameters", name, "input"], target);
  }
}

/** Gives a node another id; links, parameters, groups and its place follow. */
export function rename(document: Document, place: Place, id: string, newId: string): Attempt {
  const spec = nodeOf(document, place, id);
  if (!spec) return { refused: `There is no node ${id} here.` };
  if (id === newId) return { label: `rename ${id}`, operations: [] };
  const fault = idFault(newId, place);
  if (fault !== null) return { refused: fault };
  if (nodeOf(document, place, newId)) return { refused: `There is a node ${newId} already.` };
  const draft = new Draft(document);
  renameKey(draft, [...nodesPath(place), id], newId);
  changeLinks(draft, place, (node) => (node === id ? newId : node));
  if (draft.get([...uiPath(place), newId]) !== undefined) erase(draft, [...uiPath(place), newId]);
  renameKey(draft, [...uiPath(place), id], newId);
  changeEnds(draft, place, (end) => (end.node === id ? { ...end, node: newId } : end));
  changeMembers(draft, place, (member) => (member === id ? newId : member));
  if (place === null) changeParameters(draft, (node, input) => (node === id ? `${newId}.${input}` : null));
  return draft.edit(`rename ${id} to ${newId}`);
}

/** Gives the sources of links other names, in the nodes of a place and in what a definition gives. */
export function changeLinks(draft: Draft, place: Place, change: (node: string) => string): void {
  const { nodes, definition } = graphOf(draft.document, place);
  const renamed = (value: Json): Json => {
    if (!isLink(value)) return value;
    const { node, output } = linkParts(value);
    const name = change(node);
    return name === node ? value : { link: linkText(name, output) };
  };
  for (const [id, spec] of entriesOf(nodes)) {
    if (![...linksOfNode(id, spec)].some((wire) => change(wire.source) !== wire.source)) continue;
    for (const [input, value] of entriesOf(inputsOf(spec))) {
      const changed = isList(value) ? value.map(renamed) : renamed(value);
      if (!sameJson(changed, value)) draft.set(inputPath(place, id, input), changed);
    }
  }
  if (place === null || !definition) return;
  for (const [name, output] of entriesOf(definition.outputs)) {
    const changed = renamed({ link: output.link });
    if (isLink(changed) && changed.link !== output.link) draft.set(["definitions", place, "outputs", name, "link"], changed.link);
  }
}

/** Leaves nodes out of runs, or takes them in again. */
export function setMode(document: Document, place: Place, ids: Iterable<string>, mode: Mode | null): Attempt {
  const draft = new Draft(document);
  const all = [...ids].filter((id) => nodeOf(document, place, id));
  for (const id of all) {
    if ((nodeOf(document, place, id)?.mode ?? null) !== mode) setNodeKeyIn(draft, place, id, "mode", mode ?? undefined);
  }
  const what = all.length === 1 ? String(all[0]) : `${all.length} nodes`;
  return draft.edit(mode === null ? `take ${what} in again` : `${mode} ${what}`);
}

/** Sets a key of a node beside its inputs: `version`, `retry`, `timeout`; undefined removes it. */
export function setNodeKey(document: Document, place: Place, id: string, key: "version" | "retry" | "timeout", value: Json | undefined): Attempt {
  if (!nodeOf(document, place, id)) return { refused: `There is no node ${id} here.` };
  const draft = new Draft(document);
  setNodeKeyIn(draft, place, id, key, value);
  return draft.edit(`set ${key} of ${id}`);
}

function setNodeKeyIn(draft: Draft, place: Place, id: string, key: string, value: Json | undefined): void {
  const old = draft.get([...nodesPath(place), id, key]);
  if (old === undefined ? value !== undefined : value === undefined || !sameJson(old, value)) {
    put(draft, [...nodesPath(place), id, key], value);
  }
}

/** Gives a node another type; its id, inputs and links stay as they are. */
export function changeType(document: Document, place: Place, id: string, type: string): Attempt {
  const spec: NodeSpec | undefined = nodeOf(document, place, id);
  if (!spec) return { refused: `There is no node ${id} here.` };
  if (place !== null && contains(document, type, place)) return { refused: `${type} uses ${place}, so it cannot stand inside it.` };
  const draft = new Draft(document);
  if (spec.type !== type) {
    draft.set([...nodesPath(place), id, "type"], type);
    draft.remove([...nodesPath(place), id, "version"]);
  }
  const large = sizeFault(draft.document);
  if (large !== null) return { refused: large };
  return draft.edit(`make ${id} ${type}`);
}
