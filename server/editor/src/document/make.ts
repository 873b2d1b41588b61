/** Makes a definition of chosen nodes, so that nothing runs otherwise than before. */
import { Draft } from "./draft";
import { changeMembers } from "./edit-nodes";
import {
  INPUTS, cardUi, freshId, graphOf, inputsOf, isLink, linkParts, linkText, links, nodesPath, targetOf, uiPath,
} from "./graph";
import { definitionNameFault, depthOf } from "./names";
import { entriesOf, has, isList, isObject, keysOf, objectOf, own } from "./objects";
import { changeEnds, erase, write } from "./parts";
import { sizeFault } from "./sizes";
import type { Document, Json, Made, NodeSpec, Place } from "./types";
import { LIMITS } from "./json";

/**
 * A definition of the chosen nodes and one use of it in their place. Links over the border become its inputs and outputs;
 * what a parameter sets becomes an input of its own. What is made has the id of the use. `outputs` knows the first output of a
 * node, so that a link that names it and one that does not are the same.
 */
export function makeDefinition(document: Document, place: Place, ids: Iterable<string>, name: string, outputs?: FirstOutput): Made {
  const chosen = new Set([...ids].filter((id) => has(graphOf(document, place).nodes, id)));
  const refused = whyNotMake(document, place, chosen, name);
  if (refused !== null) return { refused };
  return new Maker(document, place, chosen, name, outputs).made();
}

/** Why the nodes cannot become a definition of this name; null where they can. */
export function whyNotMake(document: Document, place: Place, chosen: ReadonlySet<string>, name: string): string | null {
  const fault = definitionNameFault(name);
  if (fault !== null) return fault;
  if (has(document.definitions, name)) return `There is a definition ${name} already.`;
  if (chosen.size === 0) return "Nothing is chosen.";
  if (chosen.has(INPUTS)) return 'Rename the node "inputs" first: inside a definition that name stands for what it is given.';
  const { nodes } = graphOf(document, place);
  const between = wayAround(nodes, chosen);
  if (between !== null) return `${between} takes from one of these and gives to another: choose it as well.`;
  const inside = Math.max(0, ...[...chosen].map((id) => depthOf(document, nodes[id]?.type ?? "")));
  if (inside + 1 + (place === null ? 0 : depthAround(document, place)) > LIMITS.inside) {
    return `Definitions stand inside each other ${LIMITS.inside} deep at most.`;
  }
  return null;
}

function depthAround(document: Document, place: string): number {
  let deepest = 0;
  for (const outer of keysOf(document.definitions)) {
    const uses = entriesOf(graphOf(document, outer).nodes).some(([, spec]) => spec.type === place);
    if (uses && outer !== place && deepest < LIMITS.inside) deepest = Math.max(deepest, depthAround(document, outer));
  }
  return deepest + 1;
}

/** A node that is not chosen on a way from a chosen one to a chosen one. */
function wayAround(nodes: { readonly [id: string]: NodeSpec }, chosen: ReadonlySet<string>): string | null {
  const users = new Map<string, string[]>();
  for (const wire of links(nodes)) users.set(wire.source, [...(users.get(wire.source) ?? []), wire.target]);
  const first = new Map<string, string>();
  const stack: [string, string][] = [];
  for (const id of chosen) for (const user of users.get(id) ?? []) if (!chosen.has(user)) stack.push([user, user]);
  for (let item = stack.pop(); item; item = stack.pop()) {
    const [id, start] = item;
    if (chosen.has(id)) return start;
    if (first.has(id)) continue;
    first.set(id, start);
    for (const user of users.get(id) ?? []) stack.push([user, start]);
  }
  return null;
}

class Refused extends Error {}

/** What names the output that a link without a name leads to; a catalogue does. */
export interface FirstOutput {
  output(document: Document, place: Place, source: { node: string; output: string | null }): { readonly name: string } | undefined;
}

class Maker {
  private readonly draft: Draft;
  private readonly nodes: { readonly [id: string]: NodeSpec };
  private readonly use: string;
  /** What the use is given, by the name of the definition's input. */
  private readonly given = new Map<string, Json | undefined>();
  private readonly names = new Map<string, string>();
  private readonly outputs = new Map<string, string>();
  /** Inputs inside that a parameter sets: each is an input of the definition of its own. */
  private readonly own = new Map<string, string>();

  constructor(
    document: Document,
    private readonly place: Place,
    private readonly chosen: ReadonlySet<string>,
    private readonly name: string,
    private readonly first?: FirstOutput,
  ) {
    this.draft = new Draft(document);
    this.nodes = graphOf(document, place).nodes;
    this.use = freshId(this.nodes, name);
  }

  made(): Made {
    try {
      this.takeParameters();
    } catch (error) {
      if (error instanceof Refused) return { refused: error.message };
      throw error;
    }
    const order = keysOf(this.nodes).filter((id) => this.chosen.has(id));
    const inner = objectOf(order.map((id) => [id, this.inside(id)] as const));
    const outputs = this.takeOutputs();
    const inputs = objectOf([...this.given.keys()].map((key) => [key, {}] as const));
    const definition = {
      ...(this.given.size > 0 ? { inputs } : {}),
      nodes: inner,
      ...(outputs.length > 0 ? { outputs: objectOf(outputs) } : {}),
    };
    this.moveUi();
    write(this.draft, ["definitions", this.name], definition);
    const set = [...this.given].flatMap(([key, value]) => (value === undefined ? [] : [[key, value] as const]));
    const spec = { type: this.name, ...(set.length > 0 ? { inputs: objectOf(set) } : {}) };
    this.draft.set([...nodesPath(this.place), this.use], spec, order[0] ?? null);
    for (const id of order) this.draft.remove([...nodesPath(this.place), id]);
    const large = sizeFault(this.draft.document);
    if (large !== null) return { refused: large };
    return { ...this.draft.edit(`make ${this.name} of ${order.length} nodes`), id: this.use };
  }

  /** What parameters set goes to the definition from outside, so that the parameter can set it there. */
  private takeParameters(): void {
    if (this.place !== null) return;
    for (const [name, parameter] of entriesOf(this.draft.document.parameters)) {
      const { node, output: input } = linkParts(parameter.input);
      if (!this.chosen.has(node) || input === null) continue;
      const known = this.own.get(parameter.input);
      const key = known ?? this.freshName(this.given, input, `${node}_${input}`);
      if (known === undefined) {
        const value = own(inputsOf(this.nodes[node]), input);
        if (value !== undefined && this.takesFromInside(value)) {
          throw new Refused(`The parameter ${name} sets ${parameter.input}, which a chosen node gives already: remove the parameter first.`);
        }
        this.given.set(key, value);
        this.own.set(parameter.input, key);
      }
      this.draft.set(["parameters", name, "input"], `${this.use}.${key}`);
    }
  }

  private takesFromInside(value: Json): boolean {
    const items = isList(value) ? value : [value];
    return items.some((item) => isLink(item) && this.chosen.has(linkParts(item).node));
  }

  /** A node as it stands inside. */
  private inside(id: string): NodeSpec {
    const spec = this.nodes[id] as NodeSpec;
    const inputs = entriesOf(inputsOf(spec)).map(([input, value]): [string, Json] => {
      const own = this.own.get(`${id}.${input}`);
      if (own !== undefined) return [input, { link: linkText(INPUTS, own) }];
      return [input, isList(value) ? value.map((item) => this.fromOutside(item, input)) : this.fromOutside(value, input)];
    });
    const known = new Set(inputs.map(([input]) => input));
    for (const [target, key] of this.own) {
      const { node, output: input } = linkParts(target);
      if (node === id && input !== null && !known.has(input)) inputs.push([input, { link: linkText(INPUTS, key) }]);
    }
    const entries = entriesOf(spec).filter(([key]) => key !== "inputs") as [string, Json][];
    if (inputs.length > 0) entries.push(["inputs", objectOf(inputs)]);
    return objectOf(entries) as unknown as NodeSpec;
  }

  private fromOutside(value: Json, input: string): Json {
    if (!isLink(value) || this.chosen.has(linkParts(value).node)) return value;
    const link = this.spelled(value.link);
    const known = this.names.get(link);
    const { node, output } = linkParts(value);
    const key = known ?? this.freshName(this.given, input, node === INPUTS ? (output ?? input) : node);
    if (known === undefined) {
      this.names.set(link, key);
      this.given.set(key, value);
    }
    return { link: linkText(INPUTS, key) };
  }

  /** A link with its output's name, where the node has one: two links to the same output are the same text. */
  private spelled(text: string): string {
    const { node, output } = linkParts(text);
    if (output !== null || this.first === undefined) return text;
    const name = this.first.output(this.draft.document, this.place, { node, output })?.name;
    return name === undefined ? text : linkText(node, name);
  }

  private freshName(taken: { has(name: string): boolean }, ...wanted: readonly string[]): string {
    for (const name of wanted) if (!taken.has(name)) return name;
    for (let number = 2; ; number += 1) if (!taken.has(`${wanted[0]}_${number}`)) return `${wanted[0]}_${number}`;
  }

  /** Links from outside to what is inside now lead to the use. */
  private takeOutputs(): [string, { link: string }][] {
    const found: [string, { link: string }][] = [];
    const instead = (value: Json): Json => {
      if (!isLink(value)) return value;
      const { node, output } = linkParts(value);
      if (!this.chosen.has(node)) return value;
      let key = this.outputs.get(this.spelled(value.link));
      if (key === undefined) {
        const taken = new Set(found.map(([name]) => name));
        key = this.freshName(taken, output ?? node, linkText(node, output).replace(".", "_"));
        this.outputs.set(this.spelled(value.link), key);
        found.push([key, { link: value.link }]);
      }
      return { link: linkText(this.use, key) };
    };
    for (const [id, spec] of entriesOf(this.nodes)) {
      if (this.chosen.has(id)) continue;
      for (const [input, value] of entriesOf(inputsOf(spec))) {
        if (!this.takesFromInside(value)) continue;
        this.draft.set([...nodesPath(this.place), id, "inputs", input], isList(value) ? value.map(instead) : instead(value));
      }
    }
    if (this.place === null) return found;
    for (const [name, output] of entriesOf(graphOf(this.draft.document, this.place).definition?.outputs)) {
      const link = instead({ link: output.link });
      if (isLink(link) && link.link !== output.link) this.draft.set(["definitions", this.place, "outputs", name, "link"], link.link);
    }
    return found;
  }

  /** Cards, inner bends and groups go inside; groups around have the use in the place of what they had. */
  private moveUi(): void {
    const { document } = this.draft;
    const outer = uiPath(this.place);
    const inner = uiPath(this.name);
    const cards = [...this.chosen].map((id) => cardUi(document, this.place, id)).filter((card) => card.x !== undefined && card.y !== undefined);
    const ui = this.draft.get(outer);
    if (this.draft.get(inner) !== undefined) erase(this.draft, inner);
    if (this.draft.get([...outer, this.use]) !== undefined) erase(this.draft, [...outer, this.use]);
    for (const kind of ["#groups", "#reroutes"]) {
      const items = isObject(ui) ? own(ui, kind) : undefined;
      for (const [key, item] of isObject(items) ? entriesOf(items) : []) {
        if (!isObject(item) || !(kind === "#groups" ? this.holdsGroup(item) : this.holdsBend(item))) continue;
        write(this.draft, [...inner, kind, key], item);
        erase(this.draft, [...outer, kind, key]);
      }
    }
    for (const id of this.chosen) {
      const card = this.draft.get([...outer, id]);
      if (card === undefined) continue;
      write(this.draft, [...inner, id], card);
      erase(this.draft, [...outer, id]);
    }
    if (cards.length > 0) {
      const x = Math.min(...cards.map((card) => card.x ?? 0));
      const y = Math.min(...cards.map((card) => card.y ?? 0));
      write(this.draft, [...outer, this.use], { x, y });
    }
    let told = false;
    changeMembers(this.draft, this.place, (id) => {
      if (!this.chosen.has(id)) return id;
      if (told) return null;
      told = true;
      return this.use;
    });
    changeEnds(this.draft, this.place, (end) => (this.chosen.has(end.node) ? this.endOutside(end) : end));
  }

  private holdsGroup(item: { readonly [key: string]: Json }): boolean {
    const members = own(item, "nodes");
    return isList(members) && members.length > 0 && members.every((id) => typeof id === "string" && this.chosen.has(id));
  }

  private holdsBend(item: { readonly [key: string]: Json }): boolean {
    const target = own(item, "target");
    if (typeof target !== "string") return false;
    const { node, input, index } = targetOf(target);
    const value = own(inputsOf(own(this.nodes, node)), input);
    const link = index !== null && isList(value) ? value[index] : value;
    return this.chosen.has(node) && isLink(link) && this.chosen.has(linkParts(link).node);
  }

  /** The bend of a wire over the border goes on with the wire to the use. */
  private endOutside(end: { node: string; input: string; index: number | null }): { node: string; input: string; index: number | null } | null {
    const value = own(inputsOf(this.nodes[end.node]), end.input);
    const link = end.index !== null && isList(value) ? value[end.index] : value;
    const key = this.own.get(`${end.node}.${end.input}`) ?? (isLink(link) ? this.names.get(this.spelled(link.link)) : undefined);
    return key === undefined ? null : { node: this.use, input: key, index: null };
  }
}
