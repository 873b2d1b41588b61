/** The picture of one place of a document: cards, threads, groups, notes, bends. Made by plain functions; what did not change stays the same object. */
import type { Catalogue } from "../catalogue/catalogue";
import { cardUi, graphOf, groups, linkText, linksOfNode, notes, order, reroutes } from "../document/graph";
import { entriesOf, own } from "../document/objects";
import type { CardUi, Document, GroupUi, NodeSpec, Nodes, NoteUi, Place, RerouteUi } from "../document/types";
import { cardModel, type CardContext } from "./cardModel";
import { handleOf, threadId } from "./ids";
import type { CardModel } from "./model";

export interface SceneThread {
  readonly id: string;
  readonly source: string;
  readonly output: string;
  readonly target: string;
  readonly handle: string;
  readonly type: string;
  readonly tagged: boolean;
}

export interface Scene {
  readonly nodes: Nodes;
  readonly cards: ReadonlyMap<string, CardModel>;
  readonly threads: readonly SceneThread[];
  readonly groups: ReadonlyMap<string, GroupUi>;
  readonly notes: ReadonlyMap<string, NoteUi>;
  readonly reroutes: ReadonlyMap<string, RerouteUi>;
  readonly order: readonly string[];
}

/** What the check says, as cards show it. */
export type ProblemMarks = Pick<CardContext, "bad" | "messages">;

interface Kept {
  readonly spec: NodeSpec;
  readonly ui: string;
  readonly key: string;
  readonly catalogue: Catalogue;
  readonly definitions: unknown;
  readonly model: CardModel;
}

/** Makes scenes of one place, and keeps the cards that a change did not touch. */
export class SceneMaker {
  private kept = new Map<string, Kept>();

  make(document: Document, place: Place, nodes: Nodes, catalogue: Catalogue, problems: ProblemMarks, pictures: CardContext["pictures"]): Scene {
    const { threads, taken, tagged } = wires(document, place, nodes, catalogue);
    const context: CardContext = { document, place, catalogue, taken, tagged, pictures, ...problems };
    const parameters = JSON.stringify(entriesOf(document.parameters).map(([, parameter]) => parameter.input));
    const next = new Map<string, Kept>();
    const cards = new Map<string, CardModel>();
    for (const [id, spec] of entriesOf(nodes)) {
      const ui = looks(cardUi(document, place, id));
      const key = `${touching(id, spec, context)} ${parameters}`;
      const last = this.kept.get(id);
      const same = last !== undefined && last.spec === spec && last.ui === ui && last.key === key && last.catalogue === catalogue && last.definitions === document.definitions;
      const kept = same ? last : { spec, ui, key, catalogue, definitions: document.definitions, model: cardModel(context, id, spec) };
      next.set(id, kept);
      cards.set(id, kept.model);
    }
    this.kept = next;
    return { nodes, cards, threads, groups: groups(document, place), notes: notes(document, place), reroutes: reroutes(document, place), order: order(nodes) };
  }
}

/** What of a card's memory changes its look; where it stands does not. */
function looks({ width, collapsed, pinned, unpinned }: CardUi): string {
  return JSON.stringify([width, collapsed, pinned, unpinned]);
}

/** What other nodes and the run say about a card, as one text. */
function touching(id: string, spec: NodeSpec, context: CardContext): string {
  const type = context.catalogue.typeOf(context.document, spec);
  const out = (type?.outputs ?? []).map((output, at) => (context.taken.has(linkText(id, output.name)) || (at === 0 && context.taken.has(id)) ? "1" : "0")).join("");
  const ins = [...linksOfNode(id, spec)].map((wire) => (context.tagged.has(threadId(id, handleOf(wire.input, wire.index))) ? "t" : "w")).join("");
  const bad = context.messages.has(id) ? [...context.bad].filter((end) => end.startsWith(`${id}.`)).join(",") : "";
  return `${out} ${ins} ${bad} ${context.messages.get(id) ?? ""} ${context.pictures(id, type) ? "p" : ""}`;
}

function wires(document: Document, place: Place, nodes: Nodes, catalogue: Catalogue): { threads: SceneThread[]; taken: Set<string>; tagged: Set<string> } {
  const threads: SceneThread[] = [];
  const taken = new Set<string>();
  const tagged = new Set<string>();
  for (const [, output] of entriesOf(place === null ? undefined : graphOf(document, place).definition?.outputs)) taken.add(output.link);
  for (const [id, spec] of entriesOf(nodes)) {
    const tags = new Set(cardUi(document, place, id).tags ?? []);
    for (const wire of linksOfNode(id, spec)) {
      const handle = handleOf(wire.input, wire.index);
      const thread = threadId(id, handle);
      taken.add(linkText(wire.source, wire.output));
      if (tags.has(handle)) tagged.add(thread);
      const found = wire.source === "inputs" && place !== null ? undefined : own(nodes, wire.source);
      const output = wire.output ?? (found === undefined ? "" : (catalogue.typeOf(document, found)?.outputs[0]?.name ?? ""));
      const made = catalogue.output(document, place, { node: wire.source, output: wire.output });
      threads.push({
        id: thread, source: wire.source === "inputs" && place !== null ? "#inputs" : wire.source, output, target: id, handle,
        type: made?.type ?? "any", tagged: tags.has(handle),
      });
    }
  }
  return { threads, taken, tagged };
}
