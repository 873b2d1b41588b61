/** What the inspector and the outline do with a graph: edits of a place, which need not be the one that is shown. */
import { Draft } from "../document/draft";
import { addGroup, addNode, collapse, connect, disconnect, editGroup, pin, removeGroup, removeNodes, removeParameter, rename, renameParameter, resetInput, setInput, setMeta, setMode, setParameter } from "../document/edits";
import { cardUi, graphOf, inputOf, isLink, linkParts, modeOf, nodeOf, nodesPath, order } from "../document/graph";
import { apply } from "../document/apply";
import { describeDefinition, editExposed, exposeInput, exposeOutput, makeDefinition, removeExposed, renameExposed, unpack } from "../document/definitions";
import { has, keysOf, own } from "../document/objects";
import { isRefusal, type Attempt, type Document, type Json, type Mode, type Place } from "../document/types";
import { useCatalogue } from "../state/catalogue";
import { useNotices } from "../state/notices";
import { tabOf, useWorkspace } from "../state/workspace";
import type { How } from "../widgets/field";

function doing(make: (document: Document) => Attempt, merge?: string): boolean {
  const tab = tabOf();
  if (!tab) return false;
  return useWorkspace.getState().edit(make(tab.history.document), merge === undefined ? {} : { merge });
}

/** One act of several edits: one step of undo, or none when one of them is refused. */
function joined(document: Document, label: string, ...steps: ((document: Document) => Attempt)[]): Attempt {
  const operations = [];
  let at = document;
  for (const step of steps) {
    const attempt = step(at);
    if (isRefusal(attempt)) return attempt;
    operations.push(...attempt.operations);
    at = apply(at, attempt).document;
  }
  return { label, operations };
}

let turn = 0;

/** Sets an input, or takes its value away. What comes before `final` is one step of undo with it. */
export function changeInput(place: Place, node: string, input: string, value: Json | undefined, how: How): boolean {
  const merge = `field ${turn} ${place ?? ""}/${node}.${input}`;
  if (how.final) turn += 1;
  return doing((document) => {
    if (value !== undefined) return setInput(document, place, node, input, value);
    if (inputOf(document, place, node, input) === undefined) return { label: `reset ${input}`, operations: [] };
    return resetInput(document, place, node, input);
  }, merge);
}

/** Sets the same input of several nodes. */
export function changeInputs(place: Place, nodes: readonly string[], input: string, value: Json | undefined, how: How): boolean {
  const merge = `fields ${turn} ${place ?? ""}/${nodes.join(" ")}.${input}`;
  if (how.final) turn += 1;
  return doing(
    (document) =>
      joined(
        document,
        `set ${input} of ${nodes.length} nodes`,
        ...nodes.map((node) => (now: Document) => (value !== undefined ? setInput(now, place, node, input, value) : has(nodeOf(now, place, node)?.inputs, input) ? resetInput(now, place, node, input) : { label: "", operations: [] })),
      ),
    merge,
  );
}

export function toggleMode(place: Place, ids: readonly string[], mode: Mode): void {
  doing((document) => setMode(document, place, ids, ids.every((id) => modeOf(nodeOf(document, place, id)) === mode) ? null : mode));
}

export function renameNode(place: Place, id: string, newId: string): boolean {
  if (!doing((document) => rename(document, place, id, newId))) return false;
  const tab = tabOf();
  if (tab?.selected.has(id)) useWorkspace.getState().select([...tab.selected].map((one) => (one === id ? newId : one)), newId);
  return true;
}

export function toggleCollapsed(place: Place, ids: readonly string[]): void {
  doing((document) => collapse(document, place, ids, !ids.every((id) => cardUi(document, place, id).collapsed === true)));
}

export function pinInput(place: Place, node: string, input: string, on: boolean): void {
  doing((document) => pin(document, place, node, input, on));
}

/** Deletes nodes; with `keep` their wires are closed over the gap. */
export function deleteNodes(place: Place, ids: readonly string[], keep: boolean): void {
  const { catalogue } = useCatalogue.getState();
  doing((document) => removeNodes(document, place, ids, keep && catalogue ? { keepWires: catalogue } : {}));
}

export function unlinkInput(place: Place, node: string, input: string, index: number | null = null): void {
  doing((document) => disconnect(document, place, { node, input, index }));
}

export function linkInput(place: Place, node: string, input: string, link: string): void {
  const { catalogue } = useCatalogue.getState();
  if (!catalogue) return;
  doing((document) => connect(document, place, linkParts(link), { node, input }, catalogue));
}

/** Adds a node that takes what another makes, linked to it. Gives its id. */
export function addAfter(place: Place, source: string | null, type: string): string | null {
  const { catalogue } = useCatalogue.getState();
  if (!catalogue) return null;
  let made: string | null = null;
  doing((document) => {
    const near = source === null ? null : cardUi(document, place, source);
    const stands = near?.x !== undefined && near.y !== undefined ? { x: near.x + (near.width ?? 196) + 48, y: near.y } : {};
    const added = addNode(document, place, type, stands);
    if ("refused" in added) return added;
    made = added.id;
    if (source === null) return added;
    const now = apply(document, added).document;
    const input = catalogue.bestInput(now, place, { node: source }, added.id);
    if (input === null) return added;
    const best = catalogue.bestOutput(now, place, source, { node: added.id, input });
    // The first output is written without its name, as links are by hand.
    const output = best === catalogue.output(now, place, { node: source })?.name ? null : best;
    const linked = connect(now, place, { node: source, output }, { node: added.id, input }, catalogue);
    return isRefusal(linked) ? added : { label: `add ${added.id} after ${source}`, operations: [...added.operations, ...linked.operations] };
  });
  return made;
}

/** Moves a node before or after another in the file, which is where ties in the order of the run are decided. */
export function moveNode(place: Place, id: string, by: 1 | -1, beside: string): boolean {
  return doing((document) => {
    const { nodes } = graphOf(document, place);
    const spec = own(nodes, id);
    if (!spec || !has(nodes, beside)) return { refused: `${id} is the ${by < 0 ? "first" : "last"} here.` };
    const keys = order(nodes).filter((one) => one !== id);
    const at = keys.indexOf(beside) + (by < 0 ? 0 : 1);
    const wanted = [...keys.slice(0, at), id, ...keys.slice(at)];
    const draft = new Draft(document);
    // The whole order is written: the one that is shown may differ from the file's, and only one node is to move.
    for (const key of wanted) {
      const value = own(nodes, key);
      if (value === undefined) continue;
      draft.remove([...nodesPath(place), key]);
      draft.set([...nodesPath(place), key], value);
    }
    if (order(graphOf(draft.document, place).nodes).indexOf(id) === order(nodes).indexOf(id)) {
      return { refused: by < 0 ? `${id} takes from ${beside}: it cannot be sooner.` : `${beside} takes from ${id}: it cannot be later.` };
    }
    return draft.edit(`move ${id} ${by < 0 ? "sooner" : "later"}`);
  });
}

/** Frames nodes as a group; where their cards stand says how large it is. */
export function groupNodes(place: Place, ids: readonly string[], name: string): void {
  doing((document) => {
    const boxes = ids.map((id) => cardUi(document, place, id));
    const xs = boxes.map((box) => box.x ?? 0);
    const ys = boxes.map((box) => box.y ?? 0);
    const x = Math.min(...xs) - 16;
    const y = Math.min(...ys) - 40;
    const width = Math.max(...boxes.map((box, at) => (xs[at] ?? 0) + (box.width ?? 208))) - x + 16;
    return addGroup(document, place, { name, x, y, width, height: Math.max(...ys) + 200 - y, nodes: [...ids] });
  });
}

export function renameGroup(place: Place, id: string, name: string): void {
  doing((document) => editGroup(document, place, id, { name }));
}

export function ungroup(place: Place, id: string): void {
  doing((document) => removeGroup(document, place, id));
}

export const parameters = {
  set: (name: string, target: string) => doing((document) => (has(document.parameters, name) ? { refused: `There is a parameter ${name} already.` } : setParameter(document, name, target))),
  remove: (name: string) => doing((document) => removeParameter(document, name)),
  rename: (name: string, newName: string) => doing((document) => renameParameter(document, name, newName)),
  /** Moves a parameter up or down: forms show them in the order of the document. */
  move: (names: readonly string[], from: number, to: number) =>
    doing((document) => {
      const name = names[from];
      const value = name === undefined ? undefined : own(document.parameters, name);
      if (name === undefined || value === undefined || to < 0 || to >= names.length || from === to) return { refused: "It cannot be moved further." };
      const rest = names.filter((one) => one !== name);
      const draft = new Draft(document);
      draft.remove(["parameters", name]);
      draft.set(["parameters", name], value, rest[to] ?? null);
      return draft.edit(`move the parameter ${name}`);
    }),
  meta: (title?: string, description?: string) => doing((document) => setMeta(document, title, description)),
};

/** Says a sentence to who cannot see the change. */
export function tell(text: string): void {
  useNotices.getState().tell(text);
}

/** The link that stands in an input, if it is one. */
export function linkAt(document: Document, place: Place, node: string, input: string): string | null {
  const value = inputOf(document, place, node, input);
  return isLink(value) ? value.link : null;
}

/** What a definition is given when a use says nothing; undefined: it is needed. */
export function setDefault(definition: string, input: string, value: Json | undefined, how: How): boolean {
  const merge = `default ${turn} ${definition}.${input}`;
  if (how.final) turn += 1;
  return doing((document) => editExposed(document, definition, "input", input, { default: value }), merge);
}

export const definitions = {
  describe: (name: string, text: string) => doing((document) => describeDefinition(document, name, text)),
  /** Makes one of nodes that stand in a place. */
  make: (place: Place, ids: readonly string[], name: string) => doing((document) => makeDefinition(document, place, ids, name, useCatalogue.getState().catalogue ?? undefined)),
  unpack: (place: Place, id: string) => doing((document) => unpack(document, place, id)),
  rename: (definition: string, kind: "input" | "output", name: string, newName: string) => doing((document) => renameExposed(document, definition, kind, name, newName)),
  remove: (definition: string, kind: "input" | "output", name: string) => doing((document) => removeExposed(document, definition, kind, name)),
  /** Lets callers set an input of a node inside, or take one of its outputs; the name is made free. */
  expose: (definition: string, kind: "input" | "output", target: string) =>
    doing((document) => {
      const { node, output } = linkParts(target);
      const taken = keysOf(kind === "input" ? document.definitions?.[definition]?.inputs : document.definitions?.[definition]?.outputs);
      const name = freeName(taken, target);
      return kind === "input" ? exposeInput(document, definition, node, output ?? "", name) : exposeOutput(document, definition, { node, output }, name);
    }),
};

/** A name for what an input or output of a node is called outside: its own, else with its node before it. */
export function freeName(names: readonly string[], target: string): string {
  const { node, output: input } = linkParts(target);
  const short = input ?? node;
  if (!names.includes(short)) return short;
  const both = `${node}_${short}`;
  if (!names.includes(both)) return both;
  for (let number = 2; ; number += 1) if (!names.includes(`${both}_${number}`)) return `${both}_${number}`;
}
