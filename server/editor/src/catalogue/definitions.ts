/** Definitions of a document as node types: what they take and give, from what they say or from what is inside. */
import { INPUTS, graphOf, inputsOf, isLink, linkParts, literalOf } from "../document/graph";
import { entriesOf, has, isList, isObject, own } from "../document/objects";
import type { Definition, Document, NodeSpec, SourceEnd, Place } from "../document/types";
import { itemOf, isListType, parseType, typeText } from "./typeexpr";
import type { InputType, NodeType, OutputType } from "./types";

interface Types {
  typeOf(document: Document, spec: NodeSpec | string): NodeType | undefined;
  output(document: Document, place: Place, source: SourceEnd): OutputType | undefined;
}

/** Definitions that are being looked at: one that contains itself has no types that way. */
const open = new Set<string>();

/** A definition as a node type. An input that says no type has that of the first input inside that it goes to. */
export function definitionType(document: Document, name: string, types: Types): NodeType {
  const definition = own(document.definitions, name);
  const ring = open.has(name) || open.size > 16;
  open.add(name);
  try {
    const help = typeof definition?.description === "string" ? definition.description : "";
    return {
      name,
      version: 1,
      category: "definitions",
      summary: help.split("\n")[0] ?? "",
      help,
      inputs: definition && !ring ? entriesOf(definition.inputs).map(([key]) => inputType(document, definition, key, types)) : [],
      outputs: definition && !ring ? entriesOf(definition.outputs).map(([key]) => outputType(document, definition, name, key, types)) : [],
      output: !ring && entriesOf(definition?.nodes).some(([, spec]) => types.typeOf(document, spec)?.output === true),
      resource: "cpu",
      cache: "pure",
      tags: [],
      origin: "document",
    };
  } finally {
    if (!ring) open.delete(name);
  }
}

function inputType(document: Document, definition: Definition, key: string, types: Types): InputType {
  const said = own(definition.inputs, key);
  const inside = firstTaker(document, definition, key, types);
  const help = typeof said?.description === "string" && said.description !== "" ? said.description : (inside?.help ?? "");
  const fallback = said && has(said, "default") ? literalOf(said.default) : inside?.default;
  const required = !(said && has(said, "default")) && (inside?.required ?? false);
  const { default: _default, many: _many, ...rest } = inside ?? {};
  const type = said?.type ?? inside?.type ?? "any";
  const many = said?.type === undefined ? inside?.many === true : isListType(parseType(type));
  return {
    ...rest,
    name: key,
    type,
    required,
    help,
    ...(many ? { many } : {}),
    ...(fallback === undefined ? {} : { default: fallback }),
  };
}

/** The first input inside that a definition's input goes to, alone or as an item of its list. */
function firstTaker(document: Document, definition: Definition, key: string, types: Types): InputType | undefined {
  for (const [, spec] of entriesOf(definition.nodes)) {
    const type = types.typeOf(document, spec);
    for (const [input, value] of entriesOf(inputsOf(spec))) {
      const whole = isInput(value, key);
      if (!whole && !(isList(value) && value.some((item) => isInput(item, key)))) continue;
      const found = type?.inputs.find((one) => one.name === input);
      if (!found) continue;
      if (whole || !isListType(parseType(found.type))) return found;
      const { many: _many, default: _default, ...one } = found;
      return { ...one, type: typeText(itemOf(parseType(found.type))) };
    }
  }
  return undefined;
}

function isInput(value: unknown, key: string): boolean {
  if (!isLink(value)) return false;
  const { node, output } = linkParts(value);
  return node === INPUTS && output === key;
}

function outputType(document: Document, definition: Definition, name: string, key: string, types: Types): OutputType {
  const said = own(definition.outputs, key);
  if (typeof said?.type === "string") return { name: key, type: said.type };
  const { node, output } = linkParts(said?.link ?? "");
  if (node === INPUTS) {
    const input = output === null ? undefined : own(definition.inputs, output);
    const type = input?.type ?? (output === null ? undefined : firstTaker(document, definition, output, types)?.type);
    return { name: key, type: type ?? "any" };
  }
  const spec = own(graphOf(document, name).nodes, node);
  const made = isObject(spec) ? types.output(document, name, { node, output }) : undefined;
  return { name: key, type: made?.type ?? "any" };
}
