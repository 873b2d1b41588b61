/** The check that needs no catalogue: is this document a graph at all? Codes and sentences are the server's (graphs/form.py). */
import { INPUTS, dependencies, linkParts, linkText, links, linksOfNode } from "./graph";
import { LIMITS, grouped } from "./json";
import { near } from "./near";
import { entriesOf, has, keysOf } from "./objects";
import { cycles } from "./orders";
import { type Problem, problem, shown } from "./problem";
import { formFaults, nodeIdFault } from "./shape";
import { sizeProblems, usesByName } from "./sizes";
import type { Definition, Document, Json, Nodes } from "./types";

/** Looking for a near match costs time per node there is, so not for each of 10,000 links. */
const MOST_SUGGESTIONS = 20;

/** Every problem of a document's form, as `weft check` tells them; at most 1,000. */
export function formProblems(document: Document): Problem[] {
  const faults = formFaults(document as unknown as Json);
  if (faults.length > 0) return faults;
  const found: Problem[] = [];
  for (const one of allProblems(document)) {
    found.push(one);
    if (found.length >= LIMITS.problems) break;
  }
  return found;
}

function* allProblems(document: Document): Generator<Problem> {
  const { nodes } = document;
  const nearest = nearestOf(nodes);
  for (const wire of links(nodes)) {
    if (has(nodes, wire.source)) continue;
    const match = nearest(wire.source);
    const text = linkText(wire.source, wire.output);
    yield problem("unknown_link", `The link ${shown(text)} leads to a node that is not there.`, {
      node: wire.target,
      input: wire.input,
      given: text,
      suggestion: match === null ? null : linkText(match, wire.output),
    });
  }
  yield* circles(nodes);
  if (keysOf(document.definitions).length > 0) yield* definitionProblems(document);
  yield* parameterProblems(document, nearest);
  yield* unknownKeys(document);
}

function nearestOf(nodes: Nodes): (name: string) => string | null {
  const found = new Map<string, string | null>();
  return (name) => {
    if (!found.has(name) && found.size < MOST_SUGGESTIONS) found.set(name, near(name, keysOf(nodes)));
    return found.get(name) ?? null;
  };
}

function* circles(nodes: Nodes): Generator<Problem> {
  for (const cycle of cycles(dependencies(nodes))) {
    const first = cycle[0] ?? "";
    const following = cycle[1 % cycle.length];
    const spec = nodes[first];
    const wire = spec && [...linksOfNode(first, spec)].find((one) => one.source === following);
    yield problem("cycle", `The nodes depend on each other in a circle: ${circleText(cycle)}. Remove one of these links.`, {
      node: first,
      input: wire?.input ?? null,
      given: cycle,
    });
  }
}

function circleText(cycle: readonly string[]): string {
  const names = cycle.length <= 12 ? cycle : [...cycle.slice(0, 6), `... ${grouped(cycle.length - 9)} more ...`, ...cycle.slice(-3)];
  return [...names, cycle[0]].join(" <- ");
}

function* parameterProblems(document: Document, nearest: (name: string) => string | null): Generator<Problem> {
  for (const [name, parameter] of entriesOf(document.parameters)) {
    const { node, output: input } = linkParts(parameter.input);
    const given = parameter.input;
    if (node === "" || input === null || input === "") {
      yield problem("bad_document", `The parameter ${shown(name)} sets ${shown(given)}, which is not "node.input".`, { given });
    } else if (!has(document.nodes, node)) {
      const match = nearest(node);
      const suggestion = match === null ? null : `${match}.${input}`;
      yield problem("unknown_link", `The parameter ${shown(name)} sets ${shown(given)}, but there is no such node.`, { given, suggestion });
    }
  }
}

// -- definitions (graphs/definitions.py)

function* definitionProblems(document: Document): Generator<Problem> {
  for (const [name, definition] of entriesOf(document.definitions)) {
    for (const one of bodyProblems(definition)) {
      const node = one.node === null ? "" : `, node ${shown(one.node)}`;
      const input = one.input === null ? "" : `, input ${shown(one.input)}`;
      yield { ...one, node: null, input: null, message: `Definition ${shown(name)}${node}${input}: ${one.message}` };
    }
  }
  const uses = usesByName(document);
  const found = cycles(uses);
  for (const circle of found) {
    yield problem("cycle", `Definitions contain themselves: ${[...circle, circle[0]].join(" -> ")}.`, { given: circle });
  }
  if (found.length === 0) yield* sizeProblems(document, uses);
}

function* bodyProblems(definition: Definition): Generator<Problem> {
  const { nodes } = definition;
  if (has(nodes, INPUTS)) {
    const message = 'The id "inputs" stands for what the definition is given, so no node inside can have it.';
    yield problem("bad_document", message, { node: INPUTS, given: INPUTS });
  }
  const ends = [...links(nodes)].map((wire) => ({ node: wire.target as string | null, input: wire.input as string | null, ...source(wire) }));
  for (const [, output] of entriesOf(definition.outputs)) {
    const { node, output: name } = linkParts(output.link);
    ends.push({ node: null, input: null, from: node, output: name, given: output.link });
  }
  for (const { node, input, from, output, given } of ends) {
    if (from === INPUTS) {
      const names = keysOf(definition.inputs);
      if (output !== null && has(definition.inputs, output)) continue;
      const match = near(output ?? "", names);
      const message = `There is no input ${shown(output ?? "")} of the definition; it has ${names.join(", ") || "none"}.`;
      yield problem("unknown_link", message, { node, input, given, suggestion: match === null ? null : `${INPUTS}.${match}` });
    } else if (!has(nodes, from)) {
      const match = near(from, keysOf(nodes));
      const message = `The link ${shown(given)} leads to a node that is not inside the definition.`;
      yield problem("unknown_link", message, { node, input, given, suggestion: match === null ? null : linkText(match, output) });
    }
  }
  for (const cycle of cycles(dependencies(nodes))) {
    const names = [...cycle.slice(0, 12), cycle[0]].join(" <- ");
    yield problem("cycle", `Nodes depend on each other in a circle: ${names}. Remove one of these links.`, { node: cycle[0] ?? null, given: cycle });
  }
}

function source(wire: { source: string; output: string | null }): { from: string; output: string | null; given: string } {
  return { from: wire.source, output: wire.output, given: linkText(wire.source, wire.output) };
}

// -- keys that this version does not know: kept, and told as warnings

const DOCUMENT_KEYS = ["weft", "meta", "nodes", "definitions", "parameters", "ui"];
const NODE_KEYS = ["type", "version", "mode", "retry", "timeout", "inputs"];
const DEFINITION_KEYS = ["description", "inputs", "nodes", "outputs", "ui"];
const INPUT_KEYS = ["type", "default", "description"];
const OUTPUT_KEYS = ["link", "type", "description"];

function* unknownKeys(document: Document): Generator<Problem> {
  yield* warnings(document, DOCUMENT_KEYS, null, "The document");
  for (const [name, item] of entriesOf(document.parameters)) yield* warnings(item, ["input"], null, `The parameter ${shown(name)}`);
  for (const [id, node] of entriesOf(document.nodes)) yield* warnings(node, NODE_KEYS, id, "The node");
  for (const [name, item] of entriesOf(document.definitions)) {
    const owner = `The definition ${shown(name)}`;
    yield* warnings(item, DEFINITION_KEYS, null, owner);
    for (const [key, port] of entriesOf(item.inputs)) yield* warnings(port, INPUT_KEYS, null, `${owner}, input ${shown(key)},`);
    for (const [key, port] of entriesOf(item.outputs)) yield* warnings(port, OUTPUT_KEYS, null, `${owner}, output ${shown(key)},`);
    for (const [id, node] of entriesOf(item.nodes)) yield* warnings(node, NODE_KEYS, null, `${owner}, node ${shown(id)},`);
  }
}

function* warnings(object: object, known: readonly string[], node: string | null, owner: string): Generator<Problem> {
  for (const key of keysOf(object)) {
    if (known.includes(key)) continue;
    const message = `${owner} has the key ${shown(key)}, unknown to this version; it is kept and has no effect.`;
    yield problem("bad_document", message, { severity: "warning", node, given: key, suggestion: near(key, known) });
  }
}

/** Why a node may not have an id, in the server's words. */
export { nodeIdFault };
