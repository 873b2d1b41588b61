/** A card's model from the document: what layout/ has placed, with the words and kinds that stand there. */
import type { Catalogue } from "../catalogue/catalogue";
import { pinnedOn, restOf } from "../catalogue/pins";
import { isListType, itemOf, parseType, takesText, typeText } from "../catalogue/typeexpr";
import type { InputType, NodeType } from "../catalogue/types";
import { cardUi, graphOf, inputsOf, isDefinition, isLink, linkParts, modeOf } from "../document/graph";
import { isList, keysOf, own } from "../document/objects";
import type { Document, Json, NodeSpec, Place } from "../document/types";
import { cardSize } from "../layout/sizes";
import { valueWords } from "../widgets/values";
import { inputOfHandle } from "./ids";
import type { CardModel, FieldModel, OutModel, PortModel, RowModel } from "./model";

export interface CardContext {
  readonly document: Document;
  readonly place: Place;
  readonly catalogue: Catalogue;
  /** Outputs that something takes, as `node` and `node.output`. */
  readonly taken: ReadonlySet<string>;
  /** Threads drawn as tags, by id. */
  readonly tagged: ReadonlySet<string>;
  /** Inputs with a problem, as `node.input`. */
  readonly bad: ReadonlySet<string>;
  /** Whether a card has a place for a picture. */
  readonly pictures: (id: string, type: NodeType | undefined) => boolean;
  /** What is wrong with a node, in a sentence. */
  readonly messages: ReadonlyMap<string, string>;
}

/** The model of one card. */
export function cardModel(context: CardContext, id: string, spec: NodeSpec): CardModel {
  const { document, place, catalogue } = context;
  const type = catalogue.typeOf(document, spec);
  const ui = cardUi(document, place, id);
  const inputs = inputsOf(spec);
  const collapsed = ui.collapsed === true;
  const rest = restOf(document, place, id, catalogue);
  const message = context.messages.get(id);
  const size = cardSize(spec, type, ui, {
    pinned: pinnedOn(document, place, id, catalogue),
    rest: rest.length > 0,
    picture: context.pictures(id, type),
    outputs: type === undefined ? usedBy(context.taken, id) : [],
    ...(message === undefined ? {} : { message }),
  });
  const rows: RowModel[] = size.rows.map((row, at) => ({
    y: row.y,
    port: row.input === null ? null : portOf(context, id, inputs, type, row.input, size.rows[at - 1]?.input ?? null),
    out: row.output === null ? null : outOf(context, id, type, row.output),
  }));
  const folded = collapsed ? keysOf(size.ports.in).slice(1).flatMap((key) => portOf(context, id, inputs, type, key, null) ?? []) : [];
  const foldedOut = collapsed ? keysOf(size.ports.out).slice(1).map((name) => outOf(context, id, type, name)) : [];
  const fields: FieldModel[] = size.fields.flatMap(({ input, y, height }) => {
    const known = type?.inputs.find((one) => one.name === input) ?? unknownInput(input);
    return [{ name: input, type: known, value: own(inputs, input), y, height }];
  });
  const inside = isDefinition(document, spec.type) ? keysOf(graphOf(document, spec.type).nodes).length : 0;
  return {
    id, type: spec.type, makes: type?.outputs[0]?.type ?? type?.inputs[0]?.type ?? "any", known: type !== undefined,
    definition: isDefinition(document, spec.type), collapsed,
    width: size.width, height: size.height, rows, folded, foldedOut, fields,
    rest: size.rest === null ? "" : rest.map(({ name, value }) => `${name} ${valueWords(value)}`).join(" · "),
    picture: size.picture?.size ?? 0,
    message: size.message === null ? 0 : size.message.lines * 16 + 14,
    inside: inside === 0 ? "" : inside === 1 ? "1 node inside" : `${inside} nodes inside`,
    bypassed: modeOf(spec) === "bypass",
  };
}

function portOf(context: CardContext, id: string, inputs: { readonly [key: string]: Json }, type: NodeType | undefined, handle: string, above: string | null): PortModel {
  const { input, index } = inputOfHandle(handle);
  const value = own(inputs, input);
  const item = index !== null && isList(value) ? value[index] : value;
  const link = isLink(item) ? linkParts(item) : null;
  const tagged = link !== null && context.tagged.has(`${id}.${handle}`);
  const first = above === null || inputOfHandle(above).input !== input;
  const known = type?.inputs.find((one) => one.name === input);
  return {
    handle, input, index, type: known?.type ?? "any", takes: known === undefined ? "any" : takesOf(known),
    linked: link !== null,
    label: first ? input : "",
    source: index !== null && link !== null && !tagged ? link.node : null,
    tag: tagged ? { node: link.node, label: link.node } : null,
    bad: context.bad.has(`${id}.${input}`),
  };
}

/** What may be linked to an input: its type, and for a list one item. */
function takesOf(input: InputType): string {
  const text = takesText(input);
  const type = parseType(text);
  return isListType(type) ? `${text} | ${typeText(itemOf(type))}` : text;
}

function outOf(context: CardContext, id: string, type: NodeType | undefined, name: string): OutModel {
  const at = type?.outputs.findIndex((output) => output.name === name) ?? 0;
  return { name, type: type?.outputs[at]?.type ?? "any", linked: context.taken.has(name === "" ? id : `${id}.${name}`) || (at === 0 && context.taken.has(id)) };
}

/** Outputs that others take of a node whose type nobody knows. */
function usedBy(taken: ReadonlySet<string>, id: string): string[] {
  return [...taken].map((text) => linkParts(text)).filter(({ node }) => node === id).map(({ output }) => output ?? "");
}

function unknownInput(name: string): InputType {
  return { name, type: "any", required: false, help: "" };
}
