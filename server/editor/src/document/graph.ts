/** Reading a document: its graphs, links, order, and what the editor remembers of them. */
import { entriesOf, has, isList, isObject, keysOf, own } from "./objects";
import { numberOf } from "./numbers";
import type {
  CardUi, Definition, Document, GroupUi, Json, JsonObject, Link, Mode, NodeSpec, Nodes, NoteUi, Place, RerouteUi, SourceEnd,
  TargetEnd,
} from "./types";

/** One link as it stands in an input; `index` is its place in a list input, null where it stands alone. */
export interface Wire {
  readonly source: string;
  readonly output: string | null;
  readonly target: string;
  readonly input: string;
  readonly index: number | null;
}

/** Inside a definition links to this "node" lead to what it is given. */
export const INPUTS = "inputs";

const NO_NODES: Nodes = Object.freeze(Object.create(null) as Nodes);
const NO_UI: JsonObject = Object.freeze(Object.create(null) as JsonObject);

/** The graph of a place. A definition that is not there has no nodes. */
export function graphOf(document: Document, place: Place): { nodes: Nodes; ui: JsonObject; definition?: Definition } {
  const ui = uiOf(document, place);
  if (place === null) return { nodes: isObject(document.nodes) ? document.nodes : NO_NODES, ui };
  const definition = own(document.definitions, place);
  if (!definition) return { nodes: NO_NODES, ui };
  return { nodes: isObject(definition.nodes) ? definition.nodes : NO_NODES, ui, definition };
}

/** Where the nodes of a place stand in the document. */
export function nodesPath(place: Place): string[] {
  return place === null ? ["nodes"] : ["definitions", place, "nodes"];
}

/** Where the editor's memory of a place stands in the document. */
export function uiPath(place: Place): string[] {
  return place === null ? ["ui"] : ["ui", "#definitions", place];
}

function uiOf(document: Document, place: Place): JsonObject {
  let at: Json | undefined = document.ui;
  for (const key of uiPath(place).slice(1)) at = isObject(at) ? own(at, key) : undefined;
  return isObject(at) ? at : NO_UI;
}

/** A node of a place. */
export function nodeOf(document: Document, place: Place, id: string): NodeSpec | undefined {
  return own(graphOf(document, place).nodes, id);
}

/** The inputs of a node that are set. */
export function inputsOf(spec: NodeSpec | undefined): JsonObject {
  return isObject(spec?.inputs) ? spec.inputs : NO_UI;
}

/** What an input is set to; undefined where the document says nothing. */
export function inputOf(document: Document, place: Place, node: string, input: string): Json | undefined {
  return own(inputsOf(nodeOf(document, place, node)), input);
}

/** Whether a value of an input, or an item of its list, is a link. */
export function isLink(value: unknown): value is Link {
  return isObject(value) && typeof own(value, "link") === "string" && keysOf(value).length === 1;
}

/** `node`, or `node.output`. */
export function linkText(node: string, output?: string | null): string {
  return output === undefined || output === null ? node : `${node}.${output}`;
}

/** The node and the output that a link names; the output is null for the first one. */
export function linkParts(link: Link | string): { node: string; output: string | null } {
  const text = typeof link === "string" ? link : link.link;
  const dot = text.indexOf(".");
  return dot < 0 ? { node: text, output: null } : { node: text.slice(0, dot), output: text.slice(dot + 1) };
}

/** A link as a value of an input. */
export function linkTo(source: SourceEnd): Link {
  return { link: linkText(source.node, source.output) };
}

/** The literal that an input means: what stands under `value`, or the value itself. undefined for links and lists with links. */
export function literalOf(value: Json | undefined): Json | undefined {
  if (value === undefined || isLink(value)) return undefined;
  if (isList(value)) return value.some(isLink) ? undefined : value.map(unwrapped);
  return unwrapped(value);
}

function unwrapped(value: Json): Json {
  const inner = isObject(value) && keysOf(value).length === 1 ? own(value, "value") : undefined;
  return inner === undefined ? value : inner;
}

/** A literal as an input of a document holds it: under `value` where it would be taken for something else. */
export function writtenLiteral(value: Json): Json {
  return isList(value) ? value.map(writtenItem) : writtenItem(value);
}

/** An item of a list as an input of a document holds it. */
export function writtenItem(value: Json): Json {
  if (isObject(value) && keysOf(value).length === 1 && has(value, "value")) return { value };
  return holdsLink(value) ? { value } : value;
}

function holdsLink(value: Json): boolean {
  if (isList(value)) return value.some(holdsLink);
  return isObject(value) && (has(value, "link") || keysOf(value).some((key) => holdsLink(value[key] as Json)));
}

/** The links of one node, in the order of its inputs. */
export function* linksOfNode(id: string, spec: NodeSpec): Generator<Wire> {
  for (const [input, value] of entriesOf(inputsOf(spec))) {
    if (isLink(value)) yield wire(value, id, input, null);
    else if (isList(value)) {
      for (const [index, item] of value.entries()) if (isLink(item)) yield wire(item, id, input, index);
    }
  }
}

function wire(link: Link, target: string, input: string, index: number | null): Wire {
  const { node, output } = linkParts(link);
  return { source: node, output, target, input, index };
}

/** Every link of a graph. */
export function* links(nodes: Nodes): Generator<Wire> {
  for (const [id, spec] of entriesOf(nodes)) yield* linksOfNode(id, spec);
}

/** What is at the end of a wire: the value of the input, or the item of its list. */
export function valueAt(document: Document, place: Place, target: TargetEnd): Json | undefined {
  const value = inputOf(document, place, target.node, target.input);
  if (target.index === undefined || target.index === null) return value;
  return isList(value) ? value[target.index] : undefined;
}

/** The nodes that each node depends on, among those that are there, in the order of its inputs. */
export function dependencies(nodes: Nodes): Map<string, string[]> {
  const found = new Map<string, string[]>();
  for (const [id, spec] of entriesOf(nodes)) found.set(id, [...linksOfNode(id, spec)].map((link) => link.source));
  return found;
}

/** The nodes in an order in which they can run, else as written; nodes on a circle and after it come last. */
export function order(nodes: Nodes): string[] {
  const waits = dependencies(nodes);
  const users = new Map<string, string[]>();
  const count = new Map<string, number>();
  for (const [id, sources] of waits) {
    const known = new Set(sources.filter((source) => waits.has(source)));
    count.set(id, known.size);
    for (const source of known) {
      const list = users.get(source);
      if (list) list.push(id);
      else users.set(source, [id]);
    }
  }
  const ready = [...waits.keys()].filter((id) => count.get(id) === 0);
  for (let at = 0; at < ready.length; at += 1) {
    for (const user of users.get(ready[at] ?? "") ?? []) {
      const left = (count.get(user) ?? 0) - 1;
      count.set(user, left);
      if (left === 0) ready.push(user);
    }
  }
  const done = new Set(ready);
  return [...ready, ...[...waits.keys()].filter((id) => !done.has(id))];
}

/** The nodes and all that they depend on. */
export function upstream(nodes: Nodes, ids: Iterable<string>): Set<string> {
  return reached(ids, (id) => {
    const spec = own(nodes, id);
    return spec === undefined ? null : Array.from(linksOfNode(id, spec), (link) => link.source);
  });
}

/** The nodes and all that depends on them. */
export function downstream(nodes: Nodes, ids: Iterable<string>): Set<string> {
  const users = usersOf(nodes);
  return reached(ids, (id) => users.get(id) ?? null);
}

const usersKnown = new WeakMap<Nodes, Map<string, string[]>>();

/** What takes from each node. Found once for each state of a graph: fields of many cards ask for it. */
function usersOf(nodes: Nodes): Map<string, string[]> {
  let users = usersKnown.get(nodes);
  if (users) return users;
  users = new Map();
  for (const id of keysOf(nodes)) users.set(id, []);
  for (const link of links(nodes)) users.get(link.source)?.push(link.target);
  usersKnown.set(nodes, users);
  return users;
}

/** All that a way leads to; `next` is null for what is not there. */
function reached(ids: Iterable<string>, next: (id: string) => readonly string[] | null): Set<string> {
  const found = new Set<string>();
  const stack = [...ids];
  for (let id = stack.pop(); id !== undefined; id = stack.pop()) {
    if (found.has(id)) continue;
    const more = next(id);
    if (more === null) continue;
    found.add(id);
    stack.push(...more);
  }
  return found;
}

const NODE_ID = /^[A-Za-z_][A-Za-z0-9_-]{0,63}$/;

/** Why a text cannot be the id of a node, or null. */
export function idFault(id: string, place: Place = null): string | null {
  if (place !== null && id === INPUTS) return 'Inside a definition "inputs" stands for what it is given.';
  if (NODE_ID.test(id)) return null;
  if (id === "") return "A node needs a name.";
  if (id.length > 64) return `A name has at most 64 characters; this one has ${id.length}.`;
  return "A name is a letter or _ followed by letters, digits, _ or -.";
}

/** An id that is free: `base`, `base_2`, ... made of a type's name or of an id that is taken. */
export function freshId(nodes: Nodes, base: string, taken?: ReadonlySet<string>): string {
  const stem = idStem(base);
  const used = (id: string): boolean => has(nodes, id) || id === INPUTS || (taken?.has(id) ?? false);
  if (!used(stem)) return stem;
  const start = stem.replace(/_\d{1,6}$/, "") || stem;
  for (let number = 2; ; number += 1) {
    const id = `${start}_${number}`;
    if (!used(id)) return id;
  }
}

/** What ids made of a type's name begin with. */
export function idStem(base: string): string {
  const stem = base.replace(/[^A-Za-z0-9_-]/gu, "_").slice(0, 56) || "node";
  return /^[A-Za-z_]/.test(stem) ? stem : `_${stem}`;
}

/** Which definitions' nodes and the root's have a type, by place. */
export function usesOf(document: Document, type: string): { place: Place; id: string }[] {
  const found: { place: Place; id: string }[] = [];
  for (const place of placesOf(document)) {
    for (const [id, spec] of entriesOf(graphOf(document, place).nodes)) if (spec.type === type) found.push({ place, id });
  }
  return found;
}

/** The root and every definition. */
export function placesOf(document: Document): Place[] {
  return [null, ...keysOf(document.definitions)];
}

/** Whether a type is a definition of the document. */
export function isDefinition(document: Document, type: string): boolean {
  return has(document.definitions, type);
}

/** How a node is left out, if it is. */
export function modeOf(spec: NodeSpec | undefined): Mode | null {
  return spec?.mode === "mute" || spec?.mode === "bypass" ? spec.mode : null;
}

// -- what the editor remembers

/** How a card stands and looks; what is not of the right kind counts as absent. */
export function cardUi(document: Document, place: Place, id: string): CardUi {
  const value = own(uiOf(document, place), id);
  return isObject(value) ? cleanCard(value) : {};
}

const NUMBERS = ["x", "y", "width"] as const;
/** No card stands farther out, and none is wider: a file may say anything, and the view has to hold it. */
const FARTHEST = 1_000_000;
const WIDEST = 2_000;

function cleanCard(value: JsonObject): CardUi {
  const card: { -readonly [K in keyof CardUi]: CardUi[K] } = {};
  for (const key of NUMBERS) {
    const number = numberOf(own(value, key));
    if (number === null || Number.isNaN(number)) continue;
    card[key] = key === "width" ? Math.min(Math.max(number, 0), WIDEST) : Math.min(Math.max(number, -FARTHEST), FARTHEST);
  }
  if (own(value, "collapsed") === true) card.collapsed = true;
  for (const key of ["pinned", "unpinned", "tags"] as const) {
    const list = own(value, key);
    if (isList(list)) card[key] = list.filter((item): item is string => typeof item === "string");
  }
  return card;
}

/** The groups of a place by id, with the members that are there. */
export function groups(document: Document, place: Place): Map<string, GroupUi> {
  const { nodes } = graphOf(document, place);
  return collected(document, place, "#groups", (item) => {
    const box = boxOf(item);
    const members = own(item, "nodes");
    if (!box || box.height === undefined || !isList(members)) return null;
    const colour = own(item, "colour");
    const inside = members.filter((id): id is string => typeof id === "string" && has(nodes, id));
    const name = own(item, "name");
    const group = { name: typeof name === "string" ? name : "", ...box, height: box.height, nodes: inside };
    return typeof colour === "string" ? { ...group, colour } : group;
  });
}

/** The notes of a place by id. */
export function notes(document: Document, place: Place): Map<string, NoteUi> {
  return collected(document, place, "#notes", (item) => {
    const box = boxOf(item);
    const text = own(item, "text");
    return box && typeof text === "string" ? { text, ...box } : null;
  });
}

/** The bends of a place by id, those whose link is there. */
export function reroutes(document: Document, place: Place): Map<string, RerouteUi> {
  return collected(document, place, "#reroutes", (item) => {
    const x = numberOf(own(item, "x"));
    const y = numberOf(own(item, "y"));
    const target = own(item, "target");
    if (x === null || y === null || typeof target !== "string") return null;
    return isLink(valueAt(document, place, targetOf(target))) ? { target, x, y } : null;
  });
}

function collected<T>(document: Document, place: Place, key: string, read: (item: JsonObject) => T | null): Map<string, T> {
  const found = new Map<string, T>();
  const all = own(uiOf(document, place), key);
  if (!isObject(all)) return found;
  for (const [id, item] of entriesOf(all)) {
    const value = isObject(item) ? read(item) : null;
    if (value !== null) found.set(id, value);
  }
  return found;
}

function boxOf(item: JsonObject): { x: number; y: number; width: number; height?: number } | null {
  const [x, y, width, height] = ["x", "y", "width", "height"].map((key) => numberOf(own(item, key)));
  if (x === null || x === undefined || y === null || y === undefined || width === null || width === undefined) return null;
  return height === null || height === undefined ? { x, y, width } : { x, y, width, height };
}

/** `node.input` or `node.input.0`, as reroutes name the end of a wire. */
export function targetText(target: TargetEnd): string {
  const base = `${target.node}.${target.input}`;
  return target.index === undefined || target.index === null ? base : `${base}.${target.index}`;
}

/** The end of a wire from its text. */
export function targetOf(text: string): { node: string; input: string; index: number | null } {
  const dot = text.indexOf(".");
  const node = dot < 0 ? text : text.slice(0, dot);
  const rest = dot < 0 ? "" : text.slice(dot + 1);
  const item = /^(.+)\.(\d{1,5})$/.exec(rest);
  return item ? { node, input: item[1] ?? "", index: Number(item[2]) } : { node, input: rest, index: null };
}
