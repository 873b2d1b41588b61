/** Copy and paste: what is copied is a small document of its own, as plain JSON. */
import { Draft } from "./draft";
import { type Point } from "./edit-cards";
import { contains } from "./edit-nodes";
import { INPUTS, cardUi, freshId, graphOf, inputsOf, isLink, linkParts, linkText, nodeOf, nodesPath, targetOf, targetText, uiPath } from "./graph";
import { freshDefinitionName } from "./names";
import { copyOf, entriesOf, has, isList, isObject, keysOf, objectOf, own, sameJson } from "./objects";
import { freshKey, write } from "./parts";
import { sizeFault } from "./sizes";
import { documentText, parseDocument } from "./text";
import type { Document, Edit, Json, JsonObject, NodeSpec, Place, Refusal } from "./types";
import { shifted } from "./unpack";

export interface PasteOptions extends Partial<Point> {
  /** Links to nodes that were not copied are kept where those nodes are here. */
  readonly withLinks?: boolean;
}

/** A paste with the ids that the nodes got. */
export type Pasted = (Edit & { readonly ids: readonly string[] }) | Refusal;

/** Nodes with the definitions that they need, their places, and the groups and bends among them, as text. */
export function copyNodes(document: Document, place: Place, ids: Iterable<string>): string {
  const chosen = new Set(ids);
  const { nodes, ui } = graphOf(document, place);
  const copied = entriesOf(nodes).filter(([id]) => chosen.has(id));
  const definitions = neededDefinitions(document, copied.map(([, spec]) => spec.type));
  const allInside = own(document.ui, "#definitions");
  const insides = entriesOf(isObject(allInside) ? allInside : {}).filter(([name]) => definitions.has(name));
  const parts: [string, Json][] = copied.flatMap(([id]) => (isObject(own(ui, id)) ? [[id, own(ui, id) as Json]] : []));
  for (const kind of ["#groups", "#reroutes"]) {
    const all = own(ui, kind);
    const kept = entriesOf(isObject(all) ? all : {}).filter(([, item]) => isObject(item) && (kind === "#groups" ? groupInside(item, chosen) : bendInside(item, chosen)));
    if (kept.length > 0) parts.push([kind, objectOf(kept)]);
  }
  if (insides.length > 0) parts.push(["#definitions", objectOf(insides)]);
  return documentText({
    weft: 1,
    nodes: objectOf(copied),
    ...(definitions.size > 0 ? { definitions: objectOf(entriesOf(document.definitions).filter(([name]) => definitions.has(name))) } : {}),
    ...(parts.length > 0 ? { ui: objectOf(parts) } : {}),
  });
}

function neededDefinitions(document: Document, types: readonly string[]): Set<string> {
  const found = new Set<string>();
  const stack = [...types];
  for (let name = stack.pop(); name !== undefined; name = stack.pop()) {
    if (found.has(name) || !has(document.definitions, name)) continue;
    found.add(name);
    for (const [, spec] of entriesOf(graphOf(document, name).nodes)) stack.push(spec.type);
  }
  return found;
}

function groupInside(item: JsonObject, chosen: ReadonlySet<string>): boolean {
  const members = own(item, "nodes");
  return isList(members) && members.length > 0 && members.every((id) => typeof id === "string" && chosen.has(id));
}

function bendInside(item: JsonObject, chosen: ReadonlySet<string>): boolean {
  const target = own(item, "target");
  return typeof target === "string" && chosen.has(targetOf(target).node);
}

/**
 * Nodes of a text, which is a document of any kind, put into a place. Ids that are taken get others. A definition that is here
 * already as it is there is used, another one of the name comes under a new name.
 */
export function pasteNodes(document: Document, place: Place, text: string, options: PasteOptions = {}): Pasted {
  const read = parseDocument(text);
  if ("problem" in read) return { refused: read.problem };
  const other = read.document;
  const count = keysOf(other.nodes).length;
  if (count === 0) return { refused: "There are no nodes in what was copied." };
  return new Paster(document, place, other, options).pasted();
}

/** Copies nodes in their own place, as `Ctrl+D` does. */
export function duplicateNodes(document: Document, place: Place, ids: Iterable<string>, options: PasteOptions = {}): Pasted {
  const attempt = pasteNodes(document, place, copyNodes(document, place, ids), options);
  if ("refused" in attempt) return attempt;
  return { ...attempt, label: attempt.ids.length === 1 ? `copy ${attempt.ids[0]}` : `copy ${attempt.ids.length} nodes` };
}


class Paster {
  private readonly draft: Draft;
  private readonly names = new Map<string, string>();
  private readonly types = new Map<string, string>();

  constructor(
    private readonly document: Document,
    private readonly place: Place,
    private readonly other: Document,
    private readonly options: PasteOptions,
  ) {
    this.draft = new Draft(document);
  }

  pasted(): Pasted {
    const { nodes } = graphOf(this.document, this.place);
    const taken = new Set<string>();
    for (const id of keysOf(this.other.nodes)) {
      const name = freshId(nodes, id, taken);
      taken.add(name);
      this.names.set(id, name);
    }
    this.takeDefinitions();
    for (const [id, spec] of entriesOf(this.other.nodes)) {
      this.draft.set([...nodesPath(this.place), this.nameOf(id)], this.node(spec));
    }
    const refused = this.whyNot();
    if (refused !== null) return { refused };
    this.takeUi();
    const ids = [...this.names.values()];
    return { ...this.draft.edit(ids.length === 1 ? `paste ${ids[0]}` : `paste ${ids.length} nodes`), ids };
  }

  private nameOf(id: string): string {
    return this.names.get(id) ?? id;
  }

  private whyNot(): string | null {
    const { place } = this;
    for (const id of place === null ? [] : this.names.values()) {
      const type = nodeOf(this.draft.document, place, id)?.type ?? "";
      if (place !== null && contains(this.draft.document, type, place)) return `${type} uses ${place}, so it cannot stand inside it.`;
    }
    return sizeFault(this.draft.document);
  }

  /** Definitions of the text under names of this document. */
  private takeDefinitions(): void {
    const needed = neededDefinitions(this.other, entriesOf(this.other.nodes).map(([, spec]) => spec.type));
    const others = entriesOf(this.other.definitions).filter(([name]) => needed.has(name));
    const same = (name: string): boolean =>
      [...neededDefinitions(this.other, [name])].every((one) => sameJson(own(this.document.definitions, one), own(this.other.definitions, one)));
    const taken = new Set<string>();
    for (const [name] of others) {
      const known = has(this.document.definitions, name) && same(name);
      const free = known ? name : freshDefinitionName(this.document, name, taken);
      taken.add(free);
      this.types.set(name, free);
    }
    for (const [name, definition] of others) {
      const here = this.types.get(name) ?? name;
      if (has(this.document.definitions, here)) continue;
      const nodes = objectOf(entriesOf(definition.nodes).map(([id, spec]) => [id, this.typed(spec)] as const));
      const copy = copyOf(definition);
      copy.nodes = nodes;
      write(this.draft, ["definitions", here], copy);
      const insides = own(this.other.ui, "#definitions");
      const ui = isObject(insides) ? own(insides, name) : undefined;
      if (ui !== undefined) write(this.draft, uiPath(here), ui);
    }
  }

  private typed(spec: NodeSpec): NodeSpec {
    const type = this.types.get(spec.type);
    return type === undefined || type === spec.type ? spec : (Object.assign(copyOf(spec), { type }) as unknown as NodeSpec);
  }

  private node(spec: NodeSpec): NodeSpec {
    const inputs = entriesOf(inputsOf(spec)).flatMap(([input, value]): [string, Json][] => {
      if (!isList(value)) {
        const one = this.item(value);
        return one === undefined ? [] : [[input, one]];
      }
      const items = value.flatMap((item) => this.item(item) ?? []);
      return items.length === 0 && value.length > 0 ? [] : [[input, items]];
    });
    const entries = entriesOf(this.typed(spec)).filter(([key]) => key !== "inputs") as [string, Json][];
    if (inputs.length > 0) entries.push(["inputs", objectOf(inputs)]);
    return objectOf(entries) as unknown as NodeSpec;
  }

  /** A value here; undefined for a link to what is not here. */
  private item(value: Json): Json | undefined {
    if (!isLink(value)) return value;
    const { node, output } = linkParts(value);
    if (this.names.has(node)) return { link: linkText(this.nameOf(node), output) };
    return this.options.withLinks && this.isHere(node, output) ? value : undefined;
  }

  private isHere(node: string, output: string | null): boolean {
    if (node !== INPUTS || this.place === null) return nodeOf(this.document, this.place, node) !== undefined;
    return output !== null && has(graphOf(this.document, this.place).definition?.inputs, output);
  }

  /** Cards, groups and bends where the pointer is, or a little beside where they came from. */
  private takeUi(): void {
    const ui = isObject(this.other.ui) ? this.other.ui : {};
    const by = this.shift();
    const outer = uiPath(this.place);
    for (const [id, name] of this.names) {
      const card = own(ui, id);
      if (isObject(card)) write(this.draft, [...outer, name], shifted(this.withKeptTags(id, card), by));
      else if (this.options.x !== undefined && this.options.y !== undefined && this.names.size === 1) {
        write(this.draft, [...outer, name], { x: Math.round(this.options.x), y: Math.round(this.options.y) });
      }
    }
    for (const kind of ["#groups", "#notes", "#reroutes"]) {
      const items = own(ui, kind);
      for (const [, item] of isObject(items) ? entriesOf(items) : []) {
        const here = isObject(item) ? this.uiItem(kind, item) : null;
        if (here === null) continue;
        const stem = kind === "#reroutes" ? "bend" : kind.slice(1, -1);
        write(this.draft, [...outer, kind, freshKey(this.draft.get([...outer, kind]), stem)], shifted(here, by));
      }
    }
  }

  /** Tags name links by their place in the input, which may have changed: kept are those of inputs that came whole. */
  private withKeptTags(id: string, card: JsonObject): JsonObject {
    const tags = own(card, "tags");
    if (!isList(tags)) return card;
    const kept = tags.filter((tag) => typeof tag === "string" && this.cameWhole(id, targetOf(`${id}.${tag}`).input));
    const copy = copyOf(card) as { [key: string]: Json };
    if (kept.length > 0) copy.tags = kept;
    else delete copy.tags;
    return copy;
  }

  private cameWhole(id: string, input: string): boolean {
    const before = own(inputsOf(own(this.other.nodes, id)), input);
    const after = this.draft.get([...nodesPath(this.place), this.nameOf(id), "inputs", input]);
    const length = (value: Json | undefined): number => (isList(value) ? value.length : value === undefined ? -1 : 1);
    return before !== undefined && length(before) === length(after);
  }

  private uiItem(kind: string, item: JsonObject): JsonObject | null {
    const copy = copyOf(item) as { [key: string]: Json };
    if (kind === "#groups") {
      if (!isList(copy.nodes)) return null;
      copy.nodes = copy.nodes.flatMap((id) => (typeof id === "string" ? (this.names.get(id) ?? []) : []));
    }
    if (kind === "#reroutes") {
      if (typeof copy.target !== "string") return null;
      const end = targetOf(copy.target);
      if (!this.names.has(end.node) || !this.cameWhole(end.node, end.input)) return null;
      copy.target = targetText({ ...end, node: this.nameOf(end.node) });
    }
    return copy;
  }

  private shift(): Point {
    const cards = [...this.names.keys()].map((id) => cardUi(this.other, null, id));
    const x = Math.min(...cards.map((card) => card.x ?? Number.POSITIVE_INFINITY));
    const y = Math.min(...cards.map((card) => card.y ?? Number.POSITIVE_INFINITY));
    if (!Number.isFinite(x) || !Number.isFinite(y)) return { x: 0, y: 0 };
    const { x: toX = x + 24, y: toY = y + 24 } = this.options;
    return { x: toX - x, y: toY - y };
  }
}
