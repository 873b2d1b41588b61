/** What the letters in types (`T`) stand for at each node of a graph, from what is wired to it. */
import { graphOf, inputsOf, isLink, linkParts, order } from "../document/graph";
import { entriesOf, isList, isObject } from "../document/objects";
import { isInteger, numberOf } from "../document/numbers";
import type { Document, Json, Place, TargetEnd } from "../document/types";
import { type TypeExpr, accepts, bind, isGeneric, isListType, itemOf, parseType, plainType, portExpr, substituted, typeText } from "./typeexpr";
import type { InputType, NodeType, OutputType } from "./types";

interface Types {
  typeOf(document: Document, spec: string): NodeType | undefined;
  output(document: Document, place: Place, source: { node: string; output: string | null }): OutputType | undefined;
}

const known = new WeakMap<object, { types: Types; definitions: unknown; bound: BoundTypes }>();

/** The letters of a graph's nodes; remembered for the graph as it is. */
export function boundTypes(document: Document, place: Place, types: Types): BoundTypes {
  const { nodes } = graphOf(document, place);
  const before = known.get(nodes);
  if (before && before.types === types && before.definitions === document.definitions) return before.bound;
  const bound = new BoundTypes(document, place, types);
  known.set(nodes, { types, definitions: document.definitions, bound });
  return bound;
}

export class BoundTypes {
  private readonly letters = new Map<string, Map<string, TypeExpr>>();

  constructor(
    private readonly document: Document,
    private readonly place: Place,
    private readonly types: Types,
  ) {
    const { nodes } = graphOf(document, place);
    const generic = order(nodes).filter((id) => this.isGenericNode(nodes[id]?.type ?? ""));
    for (const id of generic) this.letters.set(id, this.bindNode(id, null));
  }

  /** What an output makes. */
  output(node: string, output: OutputType): TypeExpr {
    const type = portExpr(output);
    return isGeneric(type) ? substituted(type, this.letters.get(node) ?? new Map()) : type;
  }

  /** Why a source of a type may not go to an end, given what else is wired to the node; null where it may. */
  reason(target: TargetEnd, wanted: TypeExpr, given: TypeExpr, input: InputType): string | null {
    if (input.optional && given.kind === "none") return null;
    const words = `${plainType(typeText(given))}, not ${plainType(typeText(wanted))}`;
    if (!isGeneric(wanted)) return accepts(wanted, given) ? null : words;
    if (!accepts(wanted, given)) {
      const takes = wanted.kind === "variable" && wanted.of.length > 0 ? wanted.of.map(typeText).join(" or ") : plainType(typeText(wanted));
      return `${plainType(typeText(given))}, not ${takes}`;
    }
    const bound = this.bindNode(target.node, target);
    if (bind(wanted, given, bound)) return null;
    return `${plainType(typeText(given))}, but the others here are ${[...bound.values()].map((type) => plainType(typeText(type))).join(", ")}`;
  }

  private isGenericNode(type: string): boolean {
    const known = this.types.typeOf(this.document, type);
    return known !== undefined && known.inputs.some((input) => isGeneric(parseType(input.type)));
  }

  /** The letters of a node by all its inputs but the one at `except`. */
  private bindNode(id: string, except: TargetEnd | null): Map<string, TypeExpr> {
    const bound = new Map<string, TypeExpr>();
    const spec = graphOf(this.document, this.place).nodes[id];
    const type = spec && this.types.typeOf(this.document, spec.type);
    for (const [name, value] of entriesOf(inputsOf(spec))) {
      const input = type?.inputs.find((one) => one.name === name);
      const wanted = input && portExpr(input);
      if (!input || !wanted || !isGeneric(wanted)) continue;
      const skipped = except?.node === id && except.input === name ? (except.index ?? "all") : null;
      if (skipped === "all") continue;
      const items = isList(value) && isListType(wanted) ? value : [value];
      const item = isList(value) && isListType(wanted) ? itemOf(wanted) : wanted;
      for (const [index, one] of items.entries()) {
        const given = index === skipped ? undefined : this.valueType(one);
        if (given) bind(item, given, bound);
      }
    }
    return bound;
  }

  private valueType(value: Json): TypeExpr | undefined {
    if (!isLink(value)) return literalType(value);
    const { node, output } = linkParts(value);
    const made = this.types.output(this.document, this.place, { node, output });
    return made && this.output(node, made);
  }
}

function literalType(value: Json): TypeExpr | undefined {
  const name = typeof value === "string" ? "str" : typeof value === "boolean" ? "bool" : numberOf(value) !== null ? (isInteger(value) ? "int" : "float") : null;
  if (name !== null) return { kind: "name", name, args: [] };
  if (value === null) return undefined;
  return { kind: "name", name: isObject(value) ? "dict" : "list", args: [] };
}
