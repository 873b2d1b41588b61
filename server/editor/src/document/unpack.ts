/** Puts what is inside of a definition in the place of one use of it, so that nothing runs otherwise than before. */
import { Draft } from "./draft";
import type { Point } from "./edit-cards";
import { changeParameters } from "./edit-nodes";
import {
  INPUTS, cardUi, freshId, graphOf, inputsOf, isLink, linkParts, linkText, links, literalOf, nodeOf, nodesPath, targetOf,
  targetText, uiPath, usesOf, writtenItem,
} from "./graph";
import { numberOf } from "./numbers";
import { copyOf, entriesOf, has, isList, isObject, keysOf, objectOf, own } from "./objects";
import { changeEnds, erase, freshKey, write } from "./parts";
import type { Attempt, Definition, Document, Json, JsonObject, NodeSpec, Place } from "./types";

class Refused extends Error {}

/** The nodes of the definition in the place of a use. A definition that nothing else uses goes away. */
export function unpack(document: Document, place: Place, id: string): Attempt {
  const spec = nodeOf(document, place, id);
  const definition = spec && own(document.definitions, spec.type);
  if (!spec || !definition) return { refused: `${id} is no definition.` };
  if (spec.mode === "bypass") return { refused: `${id} is bypassed: take it in again first.` };
  try {
    return new Unpacker(document, place, id, spec, definition).edit();
  } catch (error) {
    if (error instanceof Refused) return { refused: error.message };
    throw error;
  }
}

class Unpacker {
  private readonly draft: Draft;
  private readonly names = new Map<string, string>();

  constructor(
    document: Document,
    private readonly place: Place,
    private readonly use: string,
    private readonly spec: NodeSpec,
    private readonly definition: Definition,
  ) {
    this.draft = new Draft(document);
    const { nodes } = graphOf(document, place);
    const taken = new Set<string>();
    for (const inner of keysOf(definition.nodes)) {
      const free = !has(nodes, inner) && !taken.has(inner) && inner !== INPUTS;
      const name = free ? inner : freshId(nodes, `${use}_${inner}`.slice(0, 60), taken);
      taken.add(name);
      this.names.set(inner, name);
    }
  }

  edit(): Attempt {
    const { draft, place, use, spec } = this;
    this.moveParameters();
    this.moveOutputs();
    for (const [inner, node] of entriesOf(this.definition.nodes)) {
      draft.set([...nodesPath(place), this.nameOf(inner)], this.outside(node), use);
    }
    this.moveUi();
    draft.remove([...nodesPath(place), use]);
    if (usesOf(draft.document, spec.type).length === 0) {
      erase(draft, ["definitions", spec.type]);
      erase(draft, uiPath(spec.type));
    }
    return draft.edit(`unpack ${use}`);
  }

  private nameOf(inner: string): string {
    return this.names.get(inner) ?? inner;
  }

  /** What an input of the definition is here: as the use says it, or its default; undefined where nobody says. */
  private given(name: string): Json | undefined {
    const value = own(inputsOf(this.spec), name);
    return value === undefined ? own(own(this.definition.inputs, name) as JsonObject | undefined, "default") : value;
  }

  /** A node as it stands outside. */
  private outside(spec: NodeSpec): NodeSpec {
    const inputs = entriesOf(inputsOf(spec)).flatMap(([input, value]): [string, Json][] => {
      const here = this.value(value);
      return here === undefined ? [] : [[input, here]];
    });
    const entries = entriesOf(spec).filter(([key]) => key !== "inputs" && key !== "mode") as [string, Json][];
    const mode = this.spec.mode === "mute" ? "mute" : spec.mode;
    if (mode !== undefined) entries.splice(own(spec as JsonObject, "version") === undefined ? 1 : 2, 0, ["mode", mode]);
    if (inputs.length > 0) entries.push(["inputs", objectOf(inputs)]);
    return objectOf(entries) as unknown as NodeSpec;
  }

  /** A value of an input inside, as it is outside; undefined where nobody says it. */
  private value(value: Json): Json | undefined {
    if (!isList(value)) return isLink(value) ? this.link(value.link) : value;
    return value.flatMap((item) => this.item(item));
  }

  private item(item: Json): Json[] {
    if (!isLink(item)) return [item];
    const value = this.link(item.link);
    if (value === undefined) return [];
    if (isLink(value)) return [value];
    if (isList(value) && value.some(isLink)) {
      throw new Refused(`${this.use} is given a list of links that stands inside another list: it cannot be written out.`);
    }
    const literal = literalOf(value);
    return literal === undefined ? [] : [writtenItem(literal)];
  }

  private link(text: string): Json | undefined {
    const { node, output } = linkParts(text);
    return node === INPUTS ? this.given(output ?? "") : { link: linkText(this.nameOf(node), output) };
  }

  /** What the use gave comes from the nodes that stand in its place. */
  private moveOutputs(): void {
    const { draft, place, use } = this;
    const { nodes, definition } = graphOf(draft.document, place);
    const first = keysOf(this.definition.outputs)[0];
    const instead = (text: string): Json | undefined => {
      const name = linkParts(text).output ?? first;
      const output = name === undefined ? undefined : own(this.definition.outputs, name);
      if (!output) throw new Refused(`${this.spec.type} has no output ${name ?? ""}, to which a link leads.`);
      return this.link(output.link);
    };
    const targets = new Set([...links(nodes)].filter((wire) => wire.source === use).map((wire) => wire.target));
    for (const id of targets) {
      for (const [input, value] of entriesOf(inputsOf(nodes[id]))) {
        const items = isList(value) ? value : [value];
        if (!items.some((item) => isLink(item) && linkParts(item).node === use)) continue;
        const path = [...nodesPath(place), id, "inputs", input];
        const changed = isLink(value) ? instead(value.link) : this.outputItems(items, instead);
        if (changed === undefined) erase(draft, path);
        else draft.set(path, changed);
      }
    }
    if (place === null) return;
    for (const [name, output] of entriesOf(definition?.outputs)) {
      if (linkParts(output.link).node !== use) continue;
      const changed = instead(output.link);
      if (!isLink(changed)) throw new Refused(`The output ${name} of ${place} would be a value, and an output is always a link.`);
      draft.set(["definitions", place, "outputs", name, "link"], changed.link);
    }
  }

  private outputItems(items: readonly Json[], instead: (text: string) => Json | undefined): Json[] {
    return items.flatMap((item) => {
      if (!isLink(item) || linkParts(item).node !== this.use) return [item];
      const value = instead(item.link);
      if (value === undefined || isLink(value)) return value ?? [];
      if (isList(value) && value.some(isLink)) throw new Refused("A list of links would stand inside another list.");
      const literal = literalOf(value);
      return literal === undefined ? [] : [writtenItem(literal)];
    });
  }

  /** Parameters of the use set the one input inside that takes the value. */
  private moveParameters(): void {
    if (this.place !== null) return;
    changeParameters(this.draft, (node, input) => {
      if (node !== this.use) return null;
      const takers = this.takers(input);
      const [taker] = takers;
      if (takers.length !== 1 || !taker || taker.index !== null || this.goesOut(input)) {
        throw new Refused(`A parameter sets ${this.use}.${input}, which goes to ${takers.length === 0 ? "no input" : "several inputs"} inside: remove the parameter first.`);
      }
      return `${this.nameOf(taker.node)}.${taker.input}`;
    });
  }

  private takers(name: string): { node: string; input: string; index: number | null }[] {
    return [...links(this.definition.nodes)]
      .filter((wire) => wire.source === INPUTS && wire.output === name)
      .map((wire) => ({ node: wire.target, input: wire.input, index: wire.index }));
  }

  private goesOut(name: string): boolean {
    return entriesOf(this.definition.outputs).some(([, output]) => output.link === linkText(INPUTS, name));
  }

  /** Cards, groups, notes and bends of the inside, moved to where the use stands. */
  private moveUi(): void {
    const { draft, place, use } = this;
    const outer = uiPath(place);
    const inner = draft.get(uiPath(this.spec.type));
    const by = this.shift(isObject(inner) ? inner : null);
    changeEnds(draft, place, (end) => {
      if (end.node !== use) return end;
      const takers = this.takers(end.input);
      const [taker] = takers;
      return taker && takers.length === 1 && end.index === null ? { ...taker, node: this.nameOf(taker.node) } : null;
    });
    erase(draft, [...outer, use]);
    const members = [...this.names.values()];
    const groups = draft.get([...outer, "#groups"]);
    for (const [key, group] of isObject(groups) ? entriesOf(groups) : []) {
      const ids = isObject(group) ? own(group, "nodes") : undefined;
      if (isList(ids) && ids.includes(use)) draft.set([...outer, "#groups", key, "nodes"], ids.flatMap((id) => (id === use ? members : [id])));
    }
    if (!isObject(inner)) return;
    for (const [id, name] of this.names) {
      const card = own(inner, id);
      if (isObject(card)) write(draft, [...outer, name], shifted(card, by));
    }
    for (const kind of ["#groups", "#notes", "#reroutes"]) {
      const items = own(inner, kind);
      for (const [, item] of isObject(items) ? entriesOf(items) : []) {
        const here = isObject(item) ? this.uiItem(kind, item) : null;
        if (here === null) continue;
        write(draft, [...outer, kind, freshKey(draft.get([...outer, kind]), STEMS[kind] ?? "item")], shifted(here, by));
      }
    }
  }

  private uiItem(kind: string, item: JsonObject): JsonObject | null {
    const copy = copyOf(item) as { [key: string]: Json };
    if (kind === "#groups" && isList(copy.nodes)) {
      copy.nodes = copy.nodes.map((id) => (typeof id === "string" ? this.nameOf(id) : id));
    }
    if (kind === "#reroutes") {
      if (typeof copy.target !== "string") return null;
      const end = targetOf(copy.target);
      const value = own(inputsOf(own(this.definition.nodes, end.node)), end.input);
      const link = end.index !== null && isList(value) ? value[end.index] : value;
      if (!isLink(link) || linkParts(link).node === INPUTS) return null;
      copy.target = targetText({ ...end, node: this.nameOf(end.node) });
    }
    return copy;
  }

  private shift(inner: JsonObject | null): Point {
    const { x = 0, y = 0 } = cardUi(this.draft.document, this.place, this.use);
    const cards = inner ? [...this.names.keys()].map((id) => cardUi(this.draft.document, this.spec.type, id)) : [];
    const xs = cards.flatMap((card) => card.x ?? []);
    const ys = cards.flatMap((card) => card.y ?? []);
    return { x: x - (xs.length > 0 ? Math.min(...xs) : 0), y: y - (ys.length > 0 ? Math.min(...ys) : 0) };
  }
}

const STEMS: { readonly [kind: string]: string } = { "#groups": "group", "#notes": "note", "#reroutes": "bend" };

/** Something that stands on the canvas, moved. */
export function shifted(item: JsonObject, by: Point): JsonObject {
  const copy = copyOf(item) as { [key: string]: Json };
  for (const axis of ["x", "y"] as const) {
    const at = numberOf(copy[axis]);
    if (at !== null) copy[axis] = Math.round(at + by[axis]);
  }
  return copy;
}
