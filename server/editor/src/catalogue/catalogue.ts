/** The node types that are there, definitions of a document among them, and what edits ask of them. */
import { graphOf, inputsOf, isLink, linkParts, linksOfNode, nodeOf } from "../document/graph";
import { entriesOf, isList, keysOf, own } from "../document/objects";
import type { Document, Json, NodeSpec, Place, SourceEnd, TargetEnd, Wiring } from "../document/types";
import { INPUTS } from "../document/graph";
import { definitionType } from "./definitions";
import { accepts, isListType, itemOf, parseType, plainType, portExpr, type TypeExpr } from "./typeexpr";
import type { InputType, NodeType, OutputType } from "./types";
import { boundTypes } from "./bound";

/** Node types by name. Immutable: a change of the server's makes a new one. */
export class Catalogue implements Wiring {
  private readonly byName: ReadonlyMap<string, NodeType>;
  private readonly madeOf = new WeakMap<object, Map<string, NodeType>>();

  constructor(
    readonly all: readonly NodeType[],
    readonly etag: string | null = null,
  ) {
    this.byName = new Map(all.map((type) => [type.name, type]));
  }

  /** An installed type. */
  get(name: string): NodeType | undefined {
    return this.byName.get(name);
  }

  /** The categories with their types, in the order of the list. */
  categories(): Map<string, NodeType[]> {
    const found = new Map<string, NodeType[]>();
    for (const type of this.all) {
      const list = found.get(type.category);
      if (list) list.push(type);
      else found.set(type.category, [type]);
    }
    return found;
  }

  /** The type of a node, or by name; a definition of the document comes before an installed type. */
  typeOf(document: Document, spec: NodeSpec | string): NodeType | undefined {
    const name = typeof spec === "string" ? spec : spec.type;
    const { definitions } = document;
    if (!own(definitions, name) || !definitions) return this.byName.get(name);
    let known = this.madeOf.get(definitions);
    if (!known) this.madeOf.set(definitions, (known = new Map()));
    const made = known.get(name);
    if (made) return made;
    const type = definitionType(document, name, this);
    known.set(name, type);
    return type;
  }

  /** All types that can be added in a place: definitions that do not contain it, then installed ones. */
  typesFor(document: Document, place: Place): NodeType[] {
    const own = keysOf(document.definitions)
      .filter((name) => place === null || !this.holds(document, name, place))
      .flatMap((name) => this.typeOf(document, name) ?? []);
    const names = new Set(keysOf(document.definitions));
    return [...own, ...this.all.filter((type) => !names.has(type.name))];
  }

  private holds(document: Document, outer: string, inner: string, depth = 0): boolean {
    if (outer === inner) return true;
    if (depth > 16 || !own(document.definitions, outer)) return false;
    return entriesOf(graphOf(document, outer).nodes).some(([, spec]) => this.holds(document, spec.type, inner, depth + 1));
  }

  /** An input of a node as its type has it. */
  input(document: Document, place: Place, node: string, input: string): InputType | undefined {
    const spec = nodeOf(document, place, node);
    return spec && this.typeOf(document, spec)?.inputs.find((one) => one.name === input);
  }

  /** An output of a node, the first one where none is named. */
  output(document: Document, place: Place, source: SourceEnd): OutputType | undefined {
    if (source.node === INPUTS && place !== null) {
      const input = this.typeOf(document, place)?.inputs.find((one) => one.name === source.output);
      return input && { name: input.name, type: input.type, ...(input.variables === undefined ? {} : { variables: input.variables }) };
    }
    const spec = nodeOf(document, place, source.node);
    const outputs = spec ? (this.typeOf(document, spec)?.outputs ?? []) : [];
    return source.output === undefined || source.output === null ? outputs[0] : outputs.find((one) => one.name === source.output);
  }

  /** What an output makes here: letters such as `T` are what is wired to its node. undefined where nobody knows. */
  madeType(document: Document, place: Place, source: SourceEnd): TypeExpr | undefined {
    const output = this.output(document, place, source);
    if (!output) return undefined;
    return boundTypes(document, place, this).output(source.node, output);
  }

  // -- Wiring

  whyNotLink(document: Document, place: Place, source: SourceEnd, target: TargetEnd): string | null {
    const input = this.input(document, place, target.node, target.input);
    const given = this.madeType(document, place, source);
    const spec = nodeOf(document, place, target.node);
    const type = spec && this.typeOf(document, spec);
    if (type && !input) return `${target.node} has no input ${target.input}.`;
    const from = source.node === INPUTS ? undefined : nodeOf(document, place, source.node);
    if (from && this.typeOf(document, from) && !given) return `${source.node} has no output ${source.output ?? ""}.`;
    if (!input || !given) return null;
    const wanted = portExpr(input);
    const at = target.index === undefined || target.index === null ? wanted : isListType(wanted) ? itemOf(wanted) : null;
    if (at === null) return `${target.input} takes one ${plainType(input.type)}, not a list.`;
    return boundTypes(document, place, this).reason(target, at, given, input);
  }

  isMany(document: Document, place: Place, node: string, input: string): boolean {
    const type = this.input(document, place, node, input);
    if (type) return type.many === true || isListType(parseType(type.type));
    const spec = nodeOf(document, place, node);
    return isList(own(inputsOf(spec), input));
  }

  bestInput(document: Document, place: Place, source: SourceEnd, node: string): string | null {
    const spec = nodeOf(document, place, node);
    const type = spec && this.typeOf(document, spec);
    if (!spec || !type) return null;
    const taken = inputsOf(spec);
    const fitting = type.inputs.filter((input) => this.takes(document, place, source, node, input));
    const rank = (input: InputType): number => {
      const value = own(taken, input.name);
      const many = this.isMany(document, place, node, input.name);
      const free = value === undefined || (many && !isLink(value)) ? 0 : isLink(value) ? 4 : 2;
      return free + (input.required ? 0 : 1);
    };
    return fitting.toSorted((a, b) => rank(a) - rank(b))[0]?.name ?? null;
  }

  private takes(document: Document, place: Place, source: SourceEnd, node: string, input: InputType): boolean {
    const whole = { node, input: input.name };
    if (this.whyNotLink(document, place, source, whole) === null) return true;
    return this.isMany(document, place, node, input.name) && this.whyNotLink(document, place, source, { ...whole, index: 0 }) === null;
  }

  bestOutput(document: Document, place: Place, node: string, target: TargetEnd): string | null {
    const spec = nodeOf(document, place, node);
    const outputs = (spec && this.typeOf(document, spec)?.outputs) ?? [];
    return outputs.find((output) => this.whyNotLink(document, place, { node, output: output.name }, target) === null)?.name ?? null;
  }

  passes(document: Document, place: Place, node: string, output: string | null): Json | undefined {
    const spec = nodeOf(document, place, node);
    const type = spec && this.typeOf(document, spec);
    const made = output === null ? type?.outputs[0] : type?.outputs.find((one) => one.name === output);
    if (!spec || !type || !made) return undefined;
    const given = type.inputs.flatMap((input) => {
      const value = own(inputsOf(spec), input.name);
      return value === undefined ? [] : [{ type: input.type, value, linked: hasLink(value) }];
    });
    const candidates = [...given.filter((one) => one.linked), ...given.filter((one) => !one.linked && one.value !== null)];
    const same = candidates.find((one) => one.type === made.type);
    if (same) return same.value;
    const wanted = parseType(made.type);
    const fitting = candidates.find(({ type: text }) => {
      const source = parseType(text);
      return source.kind !== "any" && wanted.kind !== "any" && !isGenericText(source) && !isGenericText(wanted) && accepts(wanted, source);
    });
    return fitting?.value;
  }

  /** The nodes of a place that a node takes from, with the outputs' names filled in. */
  sources(document: Document, place: Place, node: string): SourceEnd[] {
    const spec = nodeOf(document, place, node);
    return spec ? [...linksOfNode(node, spec)].map((wire) => ({ node: wire.source, output: wire.output })) : [];
  }
}

function hasLink(value: Json): boolean {
  return isLink(value) || (isList(value) && value.some(isLink));
}

function isGenericText(type: TypeExpr): boolean {
  if (type.kind === "variable") return true;
  if (type.kind === "union") return type.arms.some(isGenericText);
  return type.kind === "name" && type.args.some(isGenericText);
}

/** The output that a link leads to, its name filled in. */
export function namedOutput(catalogue: Catalogue, document: Document, place: Place, link: string): string {
  const { node, output } = linkParts(link);
  return output ?? catalogue.output(document, place, { node, output })?.name ?? "";
}
