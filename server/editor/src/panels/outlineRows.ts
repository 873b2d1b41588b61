/** The outline as plain rows: the graph in the order of its run, groups and definitions open, an input a row. */
import type { Catalogue } from "../catalogue/catalogue";
import { graphOf, groups, inputsOf, isDefinition, isLink, modeOf, order } from "../document/graph";
import { entriesOf, isList, keysOf, own, sameJson } from "../document/objects";
import type { Document, Json, NodeSpec, Place } from "../document/types";
import { meant, valueWords } from "../widgets/values";

export interface OutlineRow {
  /** Its place in the tree, unique: `sketch/denoise.steps`, `#group/g1`. */
  readonly key: string;
  readonly kind: "group" | "node" | "input";
  readonly depth: number;
  /** The graph that it stands in. */
  readonly place: Place;
  /** The uses that lead to it from the graph that is shown. */
  readonly way: readonly string[];
  /** Of the node or the group. */
  readonly id: string;
  readonly input?: string;
  readonly type: string;
  readonly value?: Json | undefined;
  /** What stands where nothing is set. */
  readonly fallback?: Json | undefined;
  readonly expandable: boolean;
  readonly open: boolean;
  readonly parent: string | null;
  /** Counted from 1 among the rows of one parent, for `aria-posinset`. */
  readonly position: number;
  readonly of: number;
}

export interface OutlineOptions {
  /** Rows whose openness is not what it is at first. */
  readonly turned: ReadonlySet<string>;
  readonly find: Query | null;
  /** A node's state in words, for `state:`. */
  stateOf(way: readonly string[], id: string): string;
  /** Whether an input differs from the last run, for `changed:`. */
  changedAt(place: Place, id: string, input: string): boolean;
}

export interface Query {
  readonly words: readonly string[];
  readonly state: readonly string[];
  readonly type: readonly string[];
  readonly takes: readonly string[];
  readonly changed: readonly string[];
  readonly group: readonly string[];
}

const FIELDS = ["state", "type", "takes", "changed", "group"] as const;

/** What is looked for; null for nothing. `type:denoise state:"will run" dome`. */
export function parseQuery(text: string): Query | null {
  const query = { words: [] as string[], state: [] as string[], type: [] as string[], takes: [] as string[], changed: [] as string[], group: [] as string[] };
  let any = false;
  for (const found of text.toLowerCase().matchAll(/(?:(state|type|takes|changed|group):)?(?:"([^"]*)"?|(\S+))?/g)) {
    const field = FIELDS.find((name) => name === found[1]);
    const word = found[2] ?? found[3] ?? "";
    if (field) query[field].push(word);
    else if (word !== "") query.words.push(word);
    any ||= field !== undefined || word !== "";
  }
  return any ? query : null;
}

/** How deep definitions are opened in the outline: one that holds itself is refused elsewhere, but must not hang this. */
const DEEPEST = 8;
const NONE = Object.freeze({});

/** The inputs that a node's row opens to: those that are set, in the type's order, then those that are needed. */
export function shownInputs(spec: NodeSpec, document: Document, catalogue: Catalogue | null): string[] {
  const set = inputsOf(spec);
  const type = catalogue?.typeOf(document, spec);
  const names = (type?.inputs ?? []).map((input) => input.name);
  return [...names, ...keysOf(set).filter((name) => !names.includes(name))];
}

interface Found {
  readonly row: OutlineRow;
  readonly hit: boolean;
  readonly below: readonly Found[];
}

/** All rows that are shown, in order. */
export function outlineRows(document: Document, place: Place, catalogue: Catalogue | null, options: OutlineOptions): OutlineRow[] {
  const tree = graphRows(document, place, catalogue, options, [], 0, null);
  const rows: OutlineRow[] = [];
  const add = (list: readonly Found[]) => {
    const shown = options.find ? list.filter((one) => one.hit) : list;
    for (const [at, one] of shown.entries()) {
      rows.push({ ...one.row, position: at + 1, of: shown.length });
      if (one.row.open) add(one.below);
    }
  };
  add(tree);
  return rows;
}

function graphRows(document: Document, place: Place, catalogue: Catalogue | null, options: OutlineOptions, way: readonly string[], depth: number, parent: string | null): Found[] {
  const { nodes } = graphOf(document, place);
  const grouped = new Map<string, string>();
  const all = groups(document, place);
  for (const [id, group] of all) for (const member of group.nodes) if (!grouped.has(member)) grouped.set(member, id);
  const prefix = way.map((use) => `${use}/`).join("");
  const members = new Map<string, Found[]>();
  const list: Found[] = [];
  const slots: { readonly group: string | null; readonly found?: Found }[] = [];
  for (const id of order(nodes)) {
    const spec = own(nodes, id);
    if (!spec) continue;
    const groupId = grouped.get(id) ?? null;
    const groupKey = groupId === null ? parent : `#group/${prefix}${groupId}`;
    const groupName = groupId === null ? "" : (all.get(groupId)?.name ?? "");
    const found = nodeRow(document, place, id, spec, catalogue, options, way, groupId === null ? depth : depth + 1, groupKey, groupName);
    if (groupId === null) slots.push({ group: null, found });
    else {
      const before = members.get(groupId);
      if (before) before.push(found);
      else {
        members.set(groupId, [found]);
        slots.push({ group: groupId });
      }
    }
  }
  for (const slot of slots) {
    if (slot.group === null) {
      if (slot.found) list.push(slot.found);
      continue;
    }
    const inside = members.get(slot.group) ?? [];
    const key = `#group/${prefix}${slot.group}`;
    const hit = options.find === null || inside.some((one) => one.hit);
    const open = options.find ? hit : !options.turned.has(key);
    list.push({ hit, below: inside, row: { key, kind: "group", depth, place, way, id: slot.group, type: all.get(slot.group)?.name ?? "", expandable: true, open, parent, position: 0, of: inside.length } });
  }
  return list;
}

function nodeRow(document: Document, place: Place, id: string, spec: NodeSpec, catalogue: Catalogue | null, options: OutlineOptions, way: readonly string[], depth: number, parent: string | null, group: string): Found {
  const key = [...way, id].join("/");
  const names = shownInputs(spec, document, catalogue);
  const inner = isDefinition(document, spec.type) && way.length < DEEPEST;
  const set = inputsOf(spec);
  const { find } = options;
  // Definitions stand open, plain nodes closed: their inputs are many.
  const open = find === null ? inner !== options.turned.has(key) : false;
  const nodeHit = find === null || matches(find, document, place, id, spec, catalogue, options, way, group, names);
  let below: Found[] = [];
  if (open || find) {
    const types = new Map((catalogue?.typeOf(document, spec)?.inputs ?? []).map((input) => [input.name, input]));
    below = names.map((input) => ({
      hit: find !== null && inputHit(find, input, own(set, input)),
      below: [],
      row: { key: `${key}.${input}`, kind: "input", depth: depth + 1, place, way, id, input, type: types.get(input)?.type ?? "", value: own(set, input), fallback: types.get(input)?.default, expandable: false, open: false, parent: key, position: 0, of: 0 },
    }));
    if (inner) below.push(...graphRows(document, spec.type, catalogue, options, [...way, id], depth + 1, key));
  }
  const deeper = below.some((one) => one.hit && (one.row.kind !== "input" || nodeHit));
  const hit = nodeHit || below.some((one) => one.row.kind !== "input" && one.hit);
  const shownOpen = find === null ? open : options.turned.has(key) !== deeper;
  return { hit, below: find === null ? below : below.map((one) => (options.turned.has(key) && !deeper ? { ...one, hit: true } : one)), row: { key, kind: "node", depth, place, way, id, type: spec.type, expandable: names.length > 0 || inner, open: shownOpen, parent, position: 0, of: 0 } };
}

function inputHit(find: Query, input: string, value: Json | undefined): boolean {
  if (value === undefined || find.words.length === 0) return false;
  const text = `${input} ${valueText(value)}`.toLowerCase();
  return find.words.some((word) => text.includes(word));
}

function valueText(value: Json): string {
  const literal = meant(value);
  return typeof literal === "string" ? literal : valueWords(value);
}

function matches(find: Query, document: Document, place: Place, id: string, spec: NodeSpec, catalogue: Catalogue | null, options: OutlineOptions, way: readonly string[], group: string, names: readonly string[]): boolean {
  const type = catalogue?.typeOf(document, spec);
  const set = inputsOf(spec);
  const text = [id, spec.type, type?.summary ?? "", ...entriesOf(set).map(([input, value]) => `${input} ${valueText(value)}`)].join(" ").toLowerCase();
  if (!find.words.every((word) => text.includes(word))) return false;
  if (!find.type.every((word) => spec.type.toLowerCase().includes(word) || (type?.outputs ?? []).some((output) => output.type.toLowerCase().includes(word)))) return false;
  if (!find.takes.every((word) => (type?.inputs ?? []).some((input) => input.type.toLowerCase().includes(word)) || linksTo(set, word))) return false;
  if (!find.group.every((word) => group !== "" && group.toLowerCase().includes(word))) return false;
  if (!find.state.every((word) => `${options.stateOf(way, id)} ${modeOf(spec) ?? ""}`.toLowerCase().includes(word))) return false;
  return find.changed.every((word) =>
    names.some((input) => input.toLowerCase().includes(word) && (word === "default" ? isOwn(type?.inputs.find((one) => one.name === input)?.default, own(set, input)) : options.changedAt(place, id, input))),
  );
}

function linksTo(set: { readonly [key: string]: Json }, word: string): boolean {
  const links = (value: Json): boolean => (isLink(value) ? value.link.toLowerCase().startsWith(word) : isList(value) && value.some(links));
  return word !== "" && entriesOf(set ?? NONE).some(([, value]) => links(value));
}

function isOwn(fallback: Json | undefined, value: Json | undefined): boolean {
  return value !== undefined && !isLink(value) && !sameJson(meant(value), fallback);
}

/** Where a key of the tree leads; null when it is not one of the tree's. */
export function rowAfterKey(rows: readonly OutlineRow[], at: number, key: string): { readonly to: number } | { readonly turn: string } | null {
  const row = rows[at];
  if (!row) return null;
  switch (key) {
    case "ArrowDown":
      return { to: Math.min(rows.length - 1, at + 1) };
    case "ArrowUp":
      return { to: Math.max(0, at - 1) };
    case "Home":
      return { to: 0 };
    case "End":
      return { to: rows.length - 1 };
    case "PageDown":
      return { to: Math.min(rows.length - 1, at + 12) };
    case "PageUp":
      return { to: Math.max(0, at - 12) };
    case "ArrowRight":
      if (!row.expandable) return { to: at };
      return row.open ? { to: Math.min(rows.length - 1, at + 1) } : { turn: row.key };
    case "ArrowLeft": {
      if (row.expandable && row.open) return { turn: row.key };
      const parent = rows.findIndex((one) => one.key === row.parent);
      return { to: parent < 0 ? at : parent };
    }
    default:
      return null;
  }
}
