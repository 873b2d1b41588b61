/** Edits of links: connect, move, remove, insert a node, take one out. */
import { Draft } from "./draft";
import {
  INPUTS, graphOf, inputOf, inputsOf, isLink, linkParts, linkText, linkTo, links, nodeOf, upstream, valueAt,
} from "./graph";
import { entriesOf, isList } from "./objects";
import { changeEnds, erase, inputPath, put, write } from "./parts";
import type { Attempt, Document, Json, Place, SourceEnd, TargetEnd, Wiring } from "./types";

/**
 * A link from an output to an input. At an input that takes a list the link is added, or replaces the item `index`; an output
 * that is such a list itself takes the place of the whole.
 */
export function connect(
  document: Document,
  place: Place,
  from: SourceEnd,
  to: TargetEnd,
  wiring: Wiring,
): Attempt {
  const draft = new Draft(document);
  const refused = connectIn(draft, place, from, to, wiring);
  if (refused !== null) return { refused };
  return draft.edit(`connect ${linkText(from.node, from.output)} to ${to.node}.${to.input}`);
}

/** Connects in a draft; gives the sentence that says why not, or null. */
export function connectIn(draft: Draft, place: Place, from: SourceEnd, to: TargetEnd, wiring: Wiring): string | null {
  const { document } = draft;
  const refused = whyNotConnect(document, place, from, to);
  if (refused !== null) return refused;
  const path = inputPath(place, to.node, to.input);
  const value = inputOf(document, place, to.node, to.input);
  const whole = wiring.whyNotLink(document, place, from, { node: to.node, input: to.input });
  if (!wiring.isMany(document, place, to.node, to.input)) {
    if (whole !== null) return whole;
    write(draft, path, linkTo(from));
    forgetEnds(draft, place, to.node, to.input);
    return null;
  }
  const items = isList(value) ? value : isLink(value) || value === undefined ? [] : [value];
  const at = to.index === undefined || to.index === null ? items.length : Math.min(to.index, items.length);
  const item = wiring.whyNotLink(document, place, from, { node: to.node, input: to.input, index: at });
  if (item === null) {
    write(draft, path, items.toSpliced(at, 1, linkTo(from)));
    if (!isList(value)) forgetEnds(draft, place, to.node, to.input);
    return null;
  }
  if (whole !== null) return item;
  write(draft, path, linkTo(from));
  forgetEnds(draft, place, to.node, to.input);
  return null;
}

/** Why two ends cannot be connected whatever their types are; null where they can. */
export function whyNotConnect(document: Document, place: Place, from: SourceEnd, to: TargetEnd): string | null {
  const { nodes, definition } = graphOf(document, place);
  if (!nodeOf(document, place, to.node)) return `There is no node ${to.node} here.`;
  if (from.node === INPUTS && definition) return null;
  if (!nodeOf(document, place, from.node)) return `There is no node ${from.node} here.`;
  if (from.node === to.node) return "A node cannot take from itself.";
  if (upstream(nodes, [from.node]).has(to.node)) return `${from.node} needs ${to.node}: this would make a circle.`;
  return null;
}

function forgetEnds(draft: Draft, place: Place, node: string, input: string): void {
  changeEnds(draft, place, (end) => (end.node === node && end.input === input && end.index !== null ? null : end));
}

/** Removes a link: the input has its default then, a list has one item less. */
export function disconnect(document: Document, place: Place, to: TargetEnd): Attempt {
  const value = valueAt(document, place, to);
  if (!isLink(value)) return { refused: `${to.node}.${to.input} is not linked.` };
  const draft = new Draft(document);
  disconnectIn(draft, place, to);
  return draft.edit(`unlink ${to.node}.${to.input}`);
}

/** Removes what is at the end of a wire, and what the editor remembers of it. */
export function disconnectIn(draft: Draft, place: Place, to: TargetEnd): void {
  const path = inputPath(place, to.node, to.input);
  const value = draft.get(path);
  const index = to.index ?? null;
  if (index === null || !isList(value)) {
    erase(draft, path);
    changeEnds(draft, place, (end) => (end.node === to.node && end.input === to.input ? null : end));
    return;
  }
  const rest = value.toSpliced(index, 1);
  put(draft, path, rest.length > 0 ? rest : undefined);
  changeEnds(draft, place, (end) => {
    if (end.node !== to.node || end.input !== to.input || end.index === null || end.index < index) return end;
    return end.index === index ? null : { ...end, index: end.index - 1 };
  });
}

/** Moves the end of a wire to another input. */
export function moveLink(document: Document, place: Place, from: TargetEnd, to: TargetEnd, wiring: Wiring): Attempt {
  const value = valueAt(document, place, from);
  if (!isLink(value)) return { refused: `${from.node}.${from.input} is not linked.` };
  const draft = new Draft(document);
  disconnectIn(draft, place, from);
  const same = from.node === to.node && from.input === to.input;
  const index = same && to.index && from.index !== undefined && from.index !== null && to.index > from.index ? to.index - 1 : to.index;
  const refused = connectIn(draft, place, linkParts(value), { ...to, index: index ?? null }, wiring);
  if (refused !== null) return { refused };
  return draft.edit(`move the link to ${to.node}.${to.input}`);
}

/** Moves an item of a list input to another place in it. */
export function moveItem(document: Document, place: Place, at: TargetEnd, index: number): Attempt {
  const value = inputOf(document, place, at.node, at.input);
  const from = at.index ?? -1;
  if (!isList(value) || from < 0 || from >= value.length || index < 0 || index >= value.length) {
    return { refused: `${at.node}.${at.input} has no such item.` };
  }
  const draft = new Draft(document);
  const order = [...value.keys()].toSpliced(from, 1).toSpliced(index, 0, from);
  write(draft, inputPath(place, at.node, at.input), order.map((old) => value[old] as Json));
  changeEnds(draft, place, (end) => {
    if (end.node !== at.node || end.input !== at.input || end.index === null) return end;
    const moved = order.indexOf(end.index);
    return moved < 0 ? null : { ...end, index: moved };
  });
  return draft.edit(`move an item of ${at.node}.${at.input}`);
}

/** Puts a node that is there into a wire: what the wire carried goes in, its output goes on to where the wire led. */
export function insertOnWire(document: Document, place: Place, wire: TargetEnd, node: string, wiring: Wiring): Attempt {
  const draft = new Draft(document);
  const refused = insertIn(draft, place, wire, node, wiring);
  return refused === null ? draft.edit(`insert ${node} before ${wire.node}`) : { refused };
}

/** Inserts in a draft, as after a node was added to it; gives the sentence that says why not, or null. */
export function insertIn(draft: Draft, place: Place, wire: TargetEnd, node: string, wiring: Wiring): string | null {
  const link = valueAt(draft.document, place, wire);
  if (!isLink(link)) return `${wire.node}.${wire.input} is not linked.`;
  const source = linkParts(link);
  if (wire.node === node || source.node === node) return `${node} is at this wire already.`;
  const input = wiring.bestInput(draft.document, place, source, node);
  if (input === null) return `${node} takes nothing that ${linkText(source.node, source.output)} makes.`;
  const refused = connectIn(draft, place, source, { node, input }, wiring);
  if (refused !== null) return refused;
  const output = wiring.bestOutput(draft.document, place, node, wire);
  if (output === null) return `${node} makes nothing that ${wire.node}.${wire.input} takes.`;
  return connectIn(draft, place, { node, output }, wire, wiring);
}

/** Takes a node out of its wires: what went through it goes on without it; the node stays, with nothing linked. */
export function takeOut(document: Document, place: Place, id: string, wiring: Wiring): Attempt {
  if (!nodeOf(document, place, id)) return { refused: `There is no node ${id} here.` };
  const draft = new Draft(document);
  passOn(draft, place, [id], wiring);
  for (const [input, value] of entriesOf(inputsOf(nodeOf(draft.document, place, id)))) {
    if (isLink(value)) disconnectIn(draft, place, { node: id, input });
    else if (isList(value)) {
      for (let index = value.length - 1; index >= 0; index -= 1) {
        if (isLink(value[index])) disconnectIn(draft, place, { node: id, input, index });
      }
    }
  }
  return draft.unchanged ? { refused: `${id} has no wires.` } : draft.edit(`take ${id} out`);
}

/**
 * Ends every wire that starts at one of the nodes: it starts at what the node passes on where there is such a thing, else it
 * is gone. Nodes among `ids` keep theirs, since they go too.
 */
export function passOn(draft: Draft, place: Place, ids: Iterable<string>, wiring: Wiring | null): void {
  const gone = new Set(ids);
  const before = draft.document;
  const { nodes, definition } = graphOf(before, place);
  const instead = (source: string, output: string | null): Json | undefined => {
    let at: { node: string; output: string | null } = { node: source, output };
    for (let steps = 0; steps <= gone.size; steps += 1) {
      const passed = wiring?.passes(before, place, at.node, at.output);
      if (!isLink(passed)) return isList(passed) && passed.some((item) => isLink(item) && gone.has(linkParts(item).node)) ? undefined : passed;
      at = linkParts(passed);
      if (!gone.has(at.node)) return passed;
    }
    return undefined;
  };
  const wires = [...links(nodes)].filter((wire) => gone.has(wire.source) && !gone.has(wire.target)).reverse();
  for (const wire of wires) {
    const value = instead(wire.source, wire.output);
    const path = inputPath(place, wire.target, wire.input);
    const list = draft.get(path);
    if (wire.index === null && (isLink(value) || (isList(value) && value.some(isLink)))) write(draft, path, value);
    else if (wire.index !== null && isLink(value) && isList(list)) write(draft, path, list.toSpliced(wire.index, 1, value));
    else disconnectIn(draft, place, { node: wire.target, input: wire.input, index: wire.index });
  }
  if (place === null || !definition) return;
  for (const [name, output] of entriesOf(definition.outputs)) {
    const { node, output: from } = linkParts(output.link);
    if (!gone.has(node)) continue;
    const value = instead(node, from);
    const path = ["definitions", place, "outputs", name];
    if (isLink(value)) draft.set([...path, "link"], value.link);
    else erase(draft, path);
  }
}
