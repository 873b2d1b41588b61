/** What an input could be linked to, and which learned words reach a text. */
import type { Catalogue } from "../catalogue/catalogue";
import { downstream, graphOf, INPUTS, inputsOf, isLink, linkText, upstream } from "../document/graph";
import { entriesOf, isList, keysOf, own } from "../document/objects";
import type { Document, Json, Nodes, Place } from "../document/types";
import { meant } from "./values";
import { NOTHING_TAUGHT, wordOfSource, type Taught } from "./words";

export interface SourceChoice {
  readonly node: string;
  readonly output: string;
  /** As a link writes it: the output is named when it is not the first. */
  readonly text: string;
  readonly type: string;
}

/** The outputs that fit an input, those of nodes before it in the document first; none that would make a circle. */
export function sourcesFor(document: Document, place: Place, node: string, input: string, catalogue: Catalogue): SourceChoice[] {
  const { nodes } = graphOf(document, place);
  const after = downstream(nodes, [node]);
  const many = catalogue.isMany(document, place, node, input);
  const found: SourceChoice[] = [];
  const offer = (from: string, output: string, first: boolean, type: string) => {
    const source = { node: from, output };
    const fits =
      catalogue.whyNotLink(document, place, source, { node, input }) === null ||
      (many && catalogue.whyNotLink(document, place, source, { node, input, index: 0 }) === null);
    if (fits) found.push({ node: from, output, text: linkText(from, first ? null : output), type });
  };
  if (place !== null) for (const one of catalogue.typeOf(document, place)?.inputs ?? []) offer(INPUTS, one.name, false, one.type);
  for (const [id, spec] of entriesOf(nodes)) {
    if (after.has(id)) continue;
    const outputs = catalogue.typeOf(document, spec)?.outputs ?? [];
    for (const [at, output] of outputs.entries()) offer(id, output.name, at === 0, output.type);
  }
  return found;
}

/** The value of an input with a link put into it: added to a list, or instead of what was there. */
export function withLink(value: Json | undefined, link: string, many: boolean, index?: number): Json {
  const put: Json = { link };
  if (!many) return put;
  const list = isList(value) ? value : value === undefined || value === null ? [] : [value];
  if (index !== undefined && index < list.length) return list.map((item, at) => (at === index ? put : item));
  return [...list, put];
}

interface Teacher {
  readonly id: string;
  readonly taught: Taught;
}

const teachers = new WeakMap<Nodes, readonly Teacher[]>();

/** The nodes that teach words: their help says which word a source has. */
function teachersOf(document: Document, nodes: Nodes, catalogue: Catalogue): readonly Teacher[] {
  const known = teachers.get(nodes);
  if (known) return known;
  const found: Teacher[] = [];
  for (const [id, spec] of entriesOf(nodes)) {
    if (spec.mode === "mute" || spec.mode === "bypass") continue;
    const type = catalogue.typeOf(document, spec);
    for (const input of type?.inputs ?? []) {
      if (input.widget?.kind !== "model" || !/textual|embedding|word/.test(`${type?.name} ${input.name} ${input.help}`) || !/inver|embedd/.test(`${type?.name} ${input.name}`)) continue;
      const value = own(inputsOf(spec), input.name);
      if (value === undefined) continue;
      const items = isList(value) ? value : [value];
      const words = new Set<string>();
      let more = false;
      for (const item of items) {
        const source = meant(item);
        const word = typeof source === "string" ? wordOfSource(source, input.help ?? "") : null;
        if (word) words.add(word);
        else if (isLink(item) || typeof source === "string") more = true;
      }
      found.push({ id, taught: { words, more } });
    }
  }
  teachers.set(nodes, found);
  return found;
}

/** The words that reach the texts of a node. Inside a definition the model comes from outside, where any word may be taught. */
export function taughtAt(document: Document, place: Place, node: string, catalogue: Catalogue): Taught {
  const { nodes } = graphOf(document, place);
  const all = teachersOf(document, nodes, catalogue);
  const outside = place !== null;
  if (all.length === 0) return outside ? { words: new Set(), more: true } : NOTHING_TAUGHT;
  const before = upstream(nodes, [node]);
  const near = all.filter((teacher) => before.has(teacher.id));
  if (near.length === 0) return outside ? { words: new Set(), more: true } : NOTHING_TAUGHT;
  return { words: new Set(near.flatMap((teacher) => [...teacher.taught.words])), more: outside || near.some((teacher) => teacher.taught.more) };
}

/** A picture in the graph that a mask could be painted over: the file of a load_image that meets the mask downstream, or the only one. */
export function pictureFor(document: Document, place: Place, node: string): string | null {
  const { nodes } = graphOf(document, place);
  const pictures: { id: string; file: string }[] = [];
  for (const [id, spec] of entriesOf(nodes)) {
    const path = own(inputsOf(spec), "path");
    if (spec.type === "load_image" && typeof path === "string" && path.startsWith("sha256:")) pictures.push({ id, file: path });
  }
  if (pictures.length < 2) return pictures[0]?.file ?? null;
  const users = downstream(nodes, [node]);
  users.delete(node);
  const shared = pictures.map((picture) => {
    const reach = downstream(nodes, [picture.id]);
    return { file: picture.file, count: keysOf(nodes).filter((id) => reach.has(id) && users.has(id)).length };
  });
  return shared.sort((a, b) => b.count - a.count)[0]?.file ?? null;
}
