/** Acts on wires. The two cards at a definition's edges are its signature: wires to them expose inputs and outputs. */
import { connect, disconnect, moveItem, moveLink, tag } from "../document/edits";
import { cardUi, inputOf, linksOfNode } from "../document/graph";
import { isList, own } from "../document/objects";
import type { Attempt } from "../document/types";
import { whyNot as whyNotType } from "../catalogue/typeexpr";
import { laterActs } from "../marks/later";
import { act, tell, together, type Here } from "./acts";
import type { End } from "./canvasStore";
import { handleOf, INPUTS_CARD, OUTPUTS_CARD } from "./ids";

export interface InputEnd {
  readonly node: string;
  readonly input: string;
  readonly index: number | null;
}

/** Why the two ends cannot be linked, in a sentence; null when they can. */
export function whyNot(now: Here, from: End, to: End): string | null {
  if (from.node === to.node) return "A node cannot take what it makes.";
  if (to.node === OUTPUTS_CARD) return "Outputs are added with + at their card.";
  const source = { node: from.node === INPUTS_CARD ? "inputs" : from.node, output: from.port };
  const { document, place, catalogue } = now;
  const attempt = connect(document, place, source, placeFor(now, to), catalogue);
  if (!("refused" in attempt)) return null;
  const short = whyNotType(from.type, to.type);
  return short === "" ? attempt.refused : short;
}

/** Where a new wire goes: at a list it joins those that are there, and takes the place of none. */
function placeFor(now: Here, to: End): { node: string; input: string; index?: number } {
  const value = to.index === null ? undefined : inputOf(now.document, now.place, to.node, to.port);
  const taken = to.index !== null && isList(value) && to.index < value.length;
  return { node: to.node, input: to.port, ...(to.index === null || taken ? {} : { index: to.index }) };
}

function connection(now: Here, from: End, to: End): Attempt {
  const { document, place, catalogue } = now;
  if (to.node === OUTPUTS_CARD) {
    if (place === null) return { refused: "Only a definition has outputs." };
    return { refused: "Its output is there already: rename or remove it first, or add another with +." };
  }
  return connect(document, place, { node: from.node === INPUTS_CARD ? "inputs" : from.node, output: from.port }, placeFor(now, to), catalogue);
}

/** Links two ends. */
export function connectEnds(from: End, to: End): boolean {
  const done = act((now) => connection(now, from, to));
  if (done) tell(`${from.node} linked to ${to.node}.${to.port}`);
  return done;
}

/** The other end of a wire goes elsewhere. */
export function moveWire(from: InputEnd, to: InputEnd): boolean {
  return act((now) => {
    const { document, place, catalogue } = now;
    // Within a list it changes places with the others; into a list it joins them.
    if (from.node === to.node && from.input === to.input && from.index !== null && to.index !== null) return moveItem(document, place, trimmed(from), to.index);
    return moveLink(document, place, trimmed(from), placeFor(now, { node: to.node, port: to.input, index: to.index, side: "in", type: "any" }), catalogue);
  });
}

const exposing = laterActs(() => import("../document/exposed"));

/** Takes a wire away. */
export function removeWire(end: InputEnd): boolean {
  if (end.node !== OUTPUTS_CARD) return act(({ document, place }) => disconnect(document, place, trimmed(end)));
  exposing(({ removeExposed }) => void act(({ document, place }) => (place === null ? null : removeExposed(document, place, "output", end.input))));
  return true;
}

function trimmed(end: InputEnd): { node: string; input: string; index?: number } {
  return end.index === null ? { node: end.node, input: end.input } : { node: end.node, input: end.input, index: end.index };
}

/** Draws a thread as a tag, or as a wire again. */
export function toggleTag(end: InputEnd): boolean {
  return act(({ document, place }) => {
    const handle = handleOf(end.input, end.index);
    return tag(document, place, end.node, handle, !(cardUi(document, place, end.node).tags ?? []).includes(handle));
  });
}

/** `W` on nodes: all wires into them become tags; when all are, wires again. */
export function toggleTags(ids: readonly string[]): boolean {
  return act((now) => {
    const ends = ids.flatMap((id) => {
      const spec = own(now.nodes, id);
      return spec === undefined ? [] : [...linksOfNode(id, spec)];
    });
    if (ends.length === 0) return null;
    const isTagged = (node: string, handle: string): boolean => (cardUi(now.document, now.place, node).tags ?? []).includes(handle);
    const on = !ends.every((end) => isTagged(end.target, handleOf(end.input, end.index)));
    const steps = ends.map((end) => (document: Here["document"]) => tag(document, now.place, end.target, handleOf(end.input, end.index), on));
    return together(on ? "show wires as tags" : "show tags as wires", now.document, steps);
  });
}
