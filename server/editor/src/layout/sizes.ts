/**
 * How large a card is and where its parts are. Widths and heights are a promise (DESIGN.md, 2 and 4): they depend on the type,
 * on what is linked and on what is pinned, never on a font that was measured, and the canvas draws just these.
 */
import { graphOf, inputsOf, isLink, links } from "../document/graph";
import { entriesOf, has, isList, keysOf, own } from "../document/objects";
import type { CardUi, Document, Json, NodeSpec, Place } from "../document/types";
import type { Catalogue } from "../catalogue/catalogue";
import { canPin, pinnedOn, restOf } from "../catalogue/pins";
import type { NodeType } from "../catalogue/types";

export const WIDTHS = { small: 148, medium: 196, large: 208 } as const;
export const HEIGHTS = { head: 28, row: 20, field: 26, rest: 18, foot: 24, border: 1, above: 2, below: 4, line: 16 } as const;
/** What a text box has beside its lines. */
const TEXT_FRAME = 12;
/** A picture's distance to the border of its card, and above and below. */
const PICTURE_SIDE = 8;
const PICTURE_GAP = 4;
/** The width of a letter of text on cards, for the lines of a text box alone. */
const LETTER = 6.2;

/** What the size of a card depends on beside its node. */
export interface CardContext {
  /** Inputs that are shown as fields. */
  readonly pinned: readonly string[];
  /** Whether there is a line of what is not the default. */
  readonly rest?: boolean;
  readonly picture?: boolean;
  /** Outputs that others link to, for a type that nobody knows. */
  readonly outputs?: readonly string[];
  /** A message about what is wrong. */
  readonly message?: string;
}

/** One row of ports: an input on the left, an output on the right. `input` is `name`, or `name.0` for an item of a list. */
export interface PortRow {
  readonly y: number;
  readonly input: string | null;
  readonly output: string | null;
}

export interface FieldBox {
  readonly input: string;
  readonly y: number;
  readonly height: number;
  /** Lines of a text box; 0 for any other field. */
  readonly lines: number;
}

/** A card with its parts; all `y` from its upper edge, those of ports to their middle. */
export interface CardSize {
  readonly width: number;
  readonly height: number;
  readonly ports: { readonly in: { readonly [key: string]: number }; readonly out: { readonly [key: string]: number } };
  readonly rows: readonly PortRow[];
  readonly fields: readonly FieldBox[];
  readonly rest: number | null;
  readonly picture: { readonly y: number; readonly size: number } | null;
  readonly message: { readonly y: number; readonly lines: number } | null;
  readonly foot: number;
}

/** The width of a card of a type where nobody dragged it. It depends on the type alone. */
export function widthOf(type: NodeType | undefined): number {
  if (!type) return WIDTHS.medium;
  const ports = type.inputs.filter((input) => !canPin(input));
  const texts = type.inputs.some((input) => input.widget?.kind === "textarea" || input.name === "text");
  if (ports.some((input) => input.many) || ports.length >= 4 || type.outputs.length >= 4) return WIDTHS.large;
  const outputs = type.outputs.map((output) => output.name);
  const long = outputs.some((name, index) => name.length + (ports[index]?.name.length ?? 0) > 17);
  return texts || long || type.name.length > 16 ? WIDTHS.medium : WIDTHS.small;
}

/** Inputs with a port of their own row, as keys: data that nodes alone make, and whatever is linked. */
export function inputKeys(spec: NodeSpec, type: NodeType | undefined): string[] {
  const inputs = inputsOf(spec);
  const keys: string[] = [];
  const names = type ? type.inputs.map((input) => input.name) : [];
  for (const input of type?.inputs ?? []) {
    const linked = linkedKeys(input.name, own(inputs, input.name));
    if (linked.length > 0) keys.push(...linked);
    else if (!canPin(input)) keys.push(input.name);
  }
  const known = new Set(names);
  for (const [name, value] of entriesOf(inputs)) if (!known.has(name)) keys.push(...linkedKeys(name, value));
  return keys;
}

function linkedKeys(name: string, value: Json | undefined): string[] {
  if (isLink(value)) return [name];
  return isList(value) ? value.flatMap((item, index) => (isLink(item) ? [`${name}.${index}`] : [])) : [];
}

/** The size of a card and the places of all in it. */
export function cardSize(spec: NodeSpec, type: NodeType | undefined, ui: CardUi, context: CardContext): CardSize {
  const width = ui.width ?? widthOf(type);
  const inputs = inputKeys(spec, type);
  const outputs = type ? type.outputs.map((output) => output.name) : [...(context.outputs ?? [])];
  if (ui.collapsed) return collapsedSize(width, inputs, outputs);
  let y: number = HEIGHTS.border + HEIGHTS.head + HEIGHTS.above;
  const rows: PortRow[] = [];
  const inside = record();
  const outside = record();
  for (let index = 0; index < Math.max(inputs.length, outputs.length); index += 1) {
    const row: PortRow = { y: y + HEIGHTS.row / 2, input: inputs[index] ?? null, output: outputs[index] ?? null };
    if (row.input !== null) inside[row.input] = row.y;
    if (row.output !== null) outside[row.output] = row.y;
    rows.push(row);
    y += HEIGHTS.row;
  }
  const fields: FieldBox[] = [];
  for (const input of context.pinned) {
    const lines = isTextBox(type, input) ? textLines(textOf(spec, type, input), width) : 0;
    const height = lines > 0 ? lines * HEIGHTS.line + TEXT_FRAME : HEIGHTS.field;
    fields.push({ input, y, height, lines });
    y += height;
  }
  const message = context.message ? { y, lines: linesFor(context.message, width - 28, 4) } : null;
  if (message) y += message.lines * HEIGHTS.line + 14;
  const rest = context.rest ? y : null;
  if (rest !== null) y += HEIGHTS.rest;
  const picture = context.picture ? { y: y + PICTURE_GAP, size: width - 2 * (PICTURE_SIDE + HEIGHTS.border) } : null;
  if (picture) y += picture.size + 2 * PICTURE_GAP;
  const foot = y + HEIGHTS.below;
  const height = foot + HEIGHTS.foot + HEIGHTS.border;
  return { width, height, ports: { in: inside, out: outside }, rows, fields, rest, picture, message, foot };
}

/** A collapsed card is its head; all its ports are in the middle of it. */
function collapsedSize(width: number, inputs: readonly string[], outputs: readonly string[]): CardSize {
  const y = HEIGHTS.border + HEIGHTS.head / 2;
  const height = HEIGHTS.head + 2 * HEIGHTS.border;
  const inside = record();
  const outside = record();
  for (const key of inputs) inside[key] = y;
  for (const key of outputs) outside[key] = y;
  const rows = [{ y, input: inputs[0] ?? null, output: outputs[0] ?? null }];
  return { width, height, ports: { in: inside, out: outside }, rows, fields: [], rest: null, picture: null, message: null, foot: height };
}

function record(): { [key: string]: number } {
  return Object.create(null) as { [key: string]: number };
}

/** Whether a field is a text box: several lines, as high as its text. */
export function isTextBox(type: NodeType | undefined, input: string): boolean {
  const known = type?.inputs.find((one) => one.name === input);
  return known?.widget?.kind === "textarea" || (known?.type === "str" && input === "text");
}

function textOf(spec: NodeSpec, type: NodeType | undefined, input: string): string {
  const value = own(inputsOf(spec), input) ?? type?.inputs.find((one) => one.name === input)?.default;
  return typeof value === "string" ? value : "";
}

/** How many lines a text box on a card has: 2 to 6. */
export function textLines(text: string, width: number): number {
  return Math.max(2, linesFor(text, width - 32, 6));
}

/** Lines of a text of about this width, at most so many. */
function linesFor(text: string, width: number, most: number): number {
  const letters = Math.max(8, Math.floor(width / LETTER));
  let lines = 0;
  for (const line of text.slice(0, 4000).split("\n")) {
    let used = 0;
    lines += 1;
    for (const word of line.split(" ")) {
      if (used > 0 && used + 1 + word.length > letters) {
        lines += 1;
        used = 0;
      }
      used += (used > 0 ? 1 : 0) + word.length;
      while (used > letters) {
        lines += 1;
        used -= letters;
      }
    }
    if (lines >= most) return most;
  }
  return lines;
}

/** Whether a node of a type will show a picture once it ran: it samples, or it saves or shows images. */
export function mayShowPicture(type: NodeType | undefined): boolean {
  if (!type) return false;
  const takes = (name: string): boolean => type.inputs.some((input) => input.type === name || input.type === `list[${name}]`);
  const makes = (name: string): boolean => type.outputs.some((output) => output.type === name);
  return (makes("Latents") && takes("Model") && type.inputs.some((input) => input.name === "steps")) || (makes("Image") && takes("Latents"));
}

/** The size of a node's card as it is in a document. `more` says what only a run knows. */
export function sizeOf(
  document: Document,
  place: Place,
  id: string,
  ui: CardUi,
  catalogue: Catalogue,
  more: { readonly picture?: boolean; readonly message?: string } = {},
): CardSize | null {
  const { nodes } = graphOf(document, place);
  const spec = own(nodes, id);
  if (!spec) return null;
  const type = catalogue.typeOf(document, spec);
  const pinned = pinnedOn(document, place, id, catalogue);
  const rest = restOf(document, place, id, catalogue).length > 0;
  const outputs = type ? [] : usedOutputs(document, place, id);
  return cardSize(spec, type, ui, { pinned, rest, outputs, ...more });
}

/** The outputs of a node that others link to, in the order in which they come; "" stands for the first one. */
export function usedOutputs(document: Document, place: Place, id: string): string[] {
  const found = new Set<string>();
  for (const wire of links(graphOf(document, place).nodes)) if (wire.source === id) found.add(wire.output ?? "");
  return [...found];
}

/** The cards at the edges of a definition: what it is given (`#inputs`) and what it gives (`#outputs`). */
export function edgeSize(document: Document, place: string, edge: "#inputs" | "#outputs"): CardSize {
  const definition = has(document.definitions, place) ? document.definitions?.[place] : undefined;
  const names = keysOf(edge === "#inputs" ? definition?.inputs : definition?.outputs);
  const ports = record();
  const rows: PortRow[] = [];
  let y: number = HEIGHTS.border + HEIGHTS.head + HEIGHTS.above;
  for (const name of names) {
    ports[name] = y + HEIGHTS.row / 2;
    rows.push(edge === "#inputs" ? { y: y + HEIGHTS.row / 2, input: null, output: name } : { y: y + HEIGHTS.row / 2, input: name, output: null });
    y += HEIGHTS.row;
  }
  const height = y + HEIGHTS.below + HEIGHTS.border;
  const none = record();
  const sides = edge === "#inputs" ? { in: none, out: ports } : { in: ports, out: none };
  return { width: WIDTHS.small, height, ports: sides, rows, fields: [], rest: null, picture: null, message: null, foot: height };
}
