/** What a definition takes and gives, and definitions as a whole: expose, rename, remove, copy. */
import { Draft } from "./draft";
import { disconnectIn } from "./edit-links";
import { renameInputIn } from "./edit-nodes";
import {
  INPUTS, graphOf, inputsOf, isLink, linkParts, linkText, links, nodeOf, nodesPath, placesOf, uiPath, usesOf,
} from "./graph";
import { definitionNameFault, freshDefinitionName } from "./names";
import { entriesOf, has, isList, keysOf, own } from "./objects";
import { changeEnds, erase, inputPath, put, renameKey, write } from "./parts";
import { sizeFault } from "./sizes";
import type { Attempt, Document, Json, JsonObject, Made, SourceEnd } from "./types";

export type Kind = "input" | "output";

function section(kind: Kind): "inputs" | "outputs" {
  return kind === "input" ? "inputs" : "outputs";
}

function nameFault(document: Document, definition: string, kind: Kind, name: string): string | null {
  if (!has(document.definitions, definition)) return `There is no definition ${definition}.`;
  if (name === "") return `An ${kind} needs a name.`;
  return has(document.definitions?.[definition]?.[section(kind)], name) ? `${definition} has an ${kind} ${name} already.` : null;
}

/** Makes an input inside one of the definition's. The value that it had is the default, so that no use changes. */
export function exposeInput(document: Document, definition: string, node: string, input: string, name = input): Attempt {
  const fault = nameFault(document, definition, "input", name);
  if (fault !== null) return { refused: fault };
  const spec = nodeOf(document, definition, node);
  if (!spec) return { refused: `There is no node ${node} in ${definition}.` };
  const value = own(inputsOf(spec), input);
  if (isLink(value) || (isList(value) && value.some(isLink))) return { refused: `${node}.${input} is linked already.` };
  const draft = new Draft(document);
  write(draft, ["definitions", definition, "inputs", name], value === undefined ? {} : { default: value });
  write(draft, inputPath(definition, node, input), { link: linkText(INPUTS, name) });
  return draft.edit(`let ${definition} take ${name}`);
}

/** Makes an output inside one of the definition's. */
export function exposeOutput(document: Document, definition: string, source: SourceEnd, name = source.output ?? source.node): Attempt {
  const fault = nameFault(document, definition, "output", name);
  if (fault !== null) return { refused: fault };
  const inside = source.node === INPUTS ? has(document.definitions?.[definition]?.inputs, source.output ?? "") : nodeOf(document, definition, source.node) !== undefined;
  if (!inside) return { refused: `There is no ${linkText(source.node, source.output)} in ${definition}.` };
  const draft = new Draft(document);
  write(draft, ["definitions", definition, "outputs", name], { link: linkText(source.node, source.output) });
  return draft.edit(`let ${definition} give ${name}`);
}

/** Takes an input or output of a definition away, with the links of its uses. Inside, an input has its default again. */
export function removeExposed(document: Document, definition: string, kind: Kind, name: string): Attempt {
  const item = own(document.definitions?.[definition]?.[section(kind)] as JsonObject | undefined, name);
  if (item === undefined) return { refused: `${definition} has no ${kind} ${name}.` };
  const draft = new Draft(document);
  if (kind === "input") removeInput(draft, definition, name, own(item as JsonObject, "default"));
  else removeOutput(draft, definition, name);
  erase(draft, ["definitions", definition, section(kind), name]);
  return draft.edit(`remove the ${kind} ${name} of ${definition}`);
}

function removeInput(draft: Draft, definition: string, name: string, normal: Json | undefined): void {
  const wires = [...links(graphOf(draft.document, definition).nodes)].reverse();
  for (const wire of wires) {
    if (wire.source !== INPUTS || wire.output !== name) continue;
    disconnectIn(draft, definition, { node: wire.target, input: wire.input, index: wire.index });
    if (wire.index === null && normal !== undefined) write(draft, inputPath(definition, wire.target, wire.input), normal);
  }
  for (const [output, item] of entriesOf(graphOf(draft.document, definition).definition?.outputs)) {
    if (item.link !== linkText(INPUTS, name)) continue;
    removeOutput(draft, definition, output);
    erase(draft, ["definitions", definition, "outputs", output]);
  }
  for (const { place, id } of usesOf(draft.document, definition)) {
    erase(draft, inputPath(place, id, name));
    changeEnds(draft, place, (end) => (end.node === id && end.input === name ? null : end));
  }
  const uses = new Set(usesOf(draft.document, definition).flatMap(({ place, id }) => (place === null ? [id] : [])));
  for (const [key, parameter] of entriesOf(draft.document.parameters)) {
    const { node, output } = linkParts(parameter.input);
    if (uses.has(node) && output === name) erase(draft, ["parameters", key]);
  }
}

function removeOutput(draft: Draft, definition: string, name: string): void {
  const first = keysOf(draft.document.definitions?.[definition]?.outputs)[0];
  const gone = (output: string | null): boolean => (output ?? first) === name;
  for (const { place, id } of usesOf(draft.document, definition)) {
    for (const wire of [...links(graphOf(draft.document, place).nodes)].reverse()) {
      if (wire.source === id && gone(wire.output)) disconnectIn(draft, place, { node: wire.target, input: wire.input, index: wire.index });
    }
    if (place === null) continue;
    for (const [output, item] of entriesOf(graphOf(draft.document, place).definition?.outputs)) {
      const from = linkParts(item.link);
      if (from.node !== id || !gone(from.output)) continue;
      removeOutput(draft, place, output);
      erase(draft, ["definitions", place, "outputs", output]);
    }
  }
}

/** Gives an input or output of a definition another name, inside and at every use. */
export function renameExposed(document: Document, definition: string, kind: Kind, name: string, newName: string): Attempt {
  if (!has(document.definitions?.[definition]?.[section(kind)], name)) return { refused: `${definition} has no ${kind} ${name}.` };
  if (name === newName) return { label: `rename ${name}`, operations: [] };
  const fault = nameFault(document, definition, kind, newName);
  if (fault !== null) return { refused: fault };
  const draft = new Draft(document);
  renameKey(draft, ["definitions", definition, section(kind), name], newName);
  const uses = usesOf(document, definition);
  if (kind === "input") {
    relink(draft, definition, linkText(INPUTS, name), linkText(INPUTS, newName));
    for (const { place, id } of uses) {
      if (draft.get(inputPath(place, id, newName)) !== undefined) erase(draft, inputPath(place, id, newName));
      renameInputIn(draft, place, id, name, newName);
    }
  } else for (const { place, id } of uses) relink(draft, place, linkText(id, name), linkText(id, newName));
  return draft.edit(`rename ${name} of ${definition} to ${newName}`);
}

/** Links with one text get another, in a place and in what it gives. */
function relink(draft: Draft, place: string | null, text: string, newText: string): void {
  const changed = (value: Json): Json => (isLink(value) && value.link === text ? { link: newText } : value);
  const { nodes, definition } = graphOf(draft.document, place);
  for (const [id, spec] of entriesOf(nodes)) {
    for (const [input, value] of entriesOf(inputsOf(spec))) {
      const items = isList(value) ? value : [value];
      if (!items.some((item) => isLink(item) && item.link === text)) continue;
      draft.set(inputPath(place, id, input), isList(value) ? value.map(changed) : changed(value));
    }
  }
  if (place === null) return;
  for (const [name, output] of entriesOf(definition?.outputs)) {
    if (output.link === text) draft.set(["definitions", place, "outputs", name, "link"], newText);
  }
}

/** Changes what a definition says of an input or output: `type`, `default` (inputs), `description`; undefined takes it away. */
export function editExposed(
  document: Document,
  definition: string,
  kind: Kind,
  name: string,
  changes: { readonly type?: string | undefined; readonly default?: Json | undefined; readonly description?: string | undefined },
): Attempt {
  if (!has(document.definitions?.[definition]?.[section(kind)], name)) return { refused: `${definition} has no ${kind} ${name}.` };
  const draft = new Draft(document);
  for (const [key, value] of Object.entries(changes)) {
    if (key === "default" && kind === "output") continue;
    put(draft, ["definitions", definition, section(kind), name, key], value === "" && key !== "default" ? undefined : value);
  }
  return draft.edit(`change ${name} of ${definition}`);
}

/** Says what a definition does. */
export function describeDefinition(document: Document, definition: string, description: string): Attempt {
  if (!has(document.definitions, definition)) return { refused: `There is no definition ${definition}.` };
  const draft = new Draft(document);
  put(draft, ["definitions", definition, "description"], description === "" ? undefined : description);
  return draft.edit(`describe ${definition}`);
}

/** Gives a definition another name; its uses follow. */
export function renameDefinition(document: Document, name: string, newName: string): Attempt {
  if (!has(document.definitions, name)) return { refused: `There is no definition ${name}.` };
  if (name === newName) return { label: `rename ${name}`, operations: [] };
  const fault = definitionNameFault(newName);
  if (fault !== null) return { refused: fault };
  if (has(document.definitions, newName)) return { refused: `There is a definition ${newName} already.` };
  if (placesOf(document).some((place) => entriesOf(graphOf(document, place).nodes).some(([, spec]) => spec.type === newName))) {
    return { refused: `Nodes of the type ${newName} are there already.` };
  }
  const draft = new Draft(document);
  renameKey(draft, ["definitions", name], newName);
  if (draft.get(uiPath(newName)) !== undefined) erase(draft, uiPath(newName));
  renameKey(draft, uiPath(name), newName);
  for (const { place, id } of usesOf(draft.document, name)) draft.set([...nodesPath(place), id, "type"], newName);
  return draft.edit(`rename ${name} to ${newName}`);
}

/** A copy of a definition under a name of its own. `use` gets it as its type: what is changed there changes it alone. */
export function duplicateDefinition(
  document: Document,
  name: string,
  options: { readonly name?: string; readonly use?: { readonly place: string | null; readonly id: string } } = {},
): Made {
  const definition = own(document.definitions, name);
  if (!definition) return { refused: `There is no definition ${name}.` };
  const copy = freshDefinitionName(document, options.name ?? name);
  const draft = new Draft(document);
  write(draft, ["definitions", copy], definition);
  const ui = draft.get(uiPath(name));
  if (ui !== undefined) write(draft, uiPath(copy), ui);
  if (options.use && nodeOf(document, options.use.place, options.use.id)) {
    draft.set([...nodesPath(options.use.place), options.use.id, "type"], copy);
  }
  const large = sizeFault(draft.document);
  return large === null ? { ...draft.edit(`copy ${name}`), id: copy } : { refused: large };
}

/** Takes a definition away that nothing uses. */
export function removeDefinition(document: Document, name: string): Attempt {
  if (!has(document.definitions, name)) return { refused: `There is no definition ${name}.` };
  const uses = usesOf(document, name);
  if (uses.length > 0) return { refused: `${name} is used by ${uses.length === 1 ? "one node" : `${uses.length} nodes`}.` };
  const draft = new Draft(document);
  erase(draft, ["definitions", name]);
  erase(draft, uiPath(name));
  return draft.edit(`delete ${name}`);
}
