/** Where a problem is, and the edits that end it. Plain functions of a document. */
import { addNode, changeType, connect, disconnect, removeNodes, renameInput, resetInput, setInput } from "../document/edits";
import { apply } from "../document/apply";
import { graphOf, inputOf, inputsOf, isDefinition, isLink, links, nodeOf } from "../document/graph";
import { entriesOf, has, isList, own } from "../document/objects";
import { type Attempt, type Document, isRefusal, type Place } from "../document/types";
import type { Catalogue } from "../catalogue/catalogue";
import type { Problem } from "../service/types";
import { fixesOf } from "../widgets/fixes";

export interface ProblemPlace {
  readonly place: Place;
  /** The uses on the way in. */
  readonly trail: readonly string[];
  readonly node: string;
}

/** The graph and the node that a path of a run (`use/inner`) leads to; null for the document as a whole. */
export function placeOfPath(document: Document, path: string | null): ProblemPlace | null {
  if (path === null) return null;
  const trail = path.split("/");
  const node = trail.pop() ?? "";
  let place: Place = null;
  for (const use of trail) {
    const type: string | undefined = nodeOf(document, place, use)?.type;
    if (type === undefined || !isDefinition(document, type)) return null;
    place = type;
  }
  return own(graphOf(document, place).nodes, node) ? { place, trail, node } : null;
}

/** "denoise.width", "up", "document". */
export function placeWords({ node, input }: Problem): string {
  return [node, input].filter(Boolean).join(".") || "document";
}

/** A button of a problem: an edit, or a place to go to. */
export type ProblemFix =
  | { readonly label: string; readonly edit: (document: Document) => Attempt }
  | { readonly label: string; readonly go: "field" | "link" };

/** What a problem offers, the likeliest first: the same fixes as on its field, and those of whole nodes. */
export function problemFixes(problem: Problem, document: Document, catalogue: Catalogue | null): ProblemFix[] {
  if (problem.code === "no_output") return catalogue ? outputFixes(document, catalogue) : [];
  const at = placeOfPath(document, problem.node);
  if (!at) return [];
  const { place, node } = at;
  const { input } = problem;
  if (input === null) return nodeFixes(problem, place, node, catalogue);
  const spec = nodeOf(document, place, node);
  const type = spec && catalogue?.typeOf(document, spec)?.inputs.find((one) => one.name === input);
  const value = inputOf(document, place, node, input);
  return fixesOf(problem, type, value, (name) => spec !== undefined && has(inputsOf(spec), name)).map((fix): ProblemFix => {
    switch (fix.act) {
      case "set":
        return { label: fix.label, edit: (now) => setInput(now, place, node, input, fix.value) };
      case "rename":
        return { label: fix.label, edit: (now) => renameInput(now, place, node, input, fix.to) };
      case "reset":
      case "remove":
        return { label: fix.label, edit: (now) => resetInput(now, place, node, input) };
      case "unlink":
        return { label: fix.label, edit: (now) => unlink(now, problem, place, node, input) };
      case "link":
        return { label: fix.label, go: "link" };
      case "choose-file":
        return { label: fix.label, go: "field" };
    }
  });
}

/** Of a list only the link that is wrong goes, where it can be told. */
function unlink(document: Document, problem: Problem, place: Place, node: string, input: string): Attempt {
  const value = inputOf(document, place, node, input);
  if (!isList(value)) return disconnect(document, place, { node, input });
  const given = typeof problem.given === "string" ? problem.given : isLink(problem.given) ? problem.given.link : null;
  const index = value.findIndex((item) => isLink(item) && item.link === given);
  return disconnect(document, place, { node, input, ...(index >= 0 && { index }) });
}

function nodeFixes(problem: Problem, place: Place, node: string, catalogue: Catalogue | null): ProblemFix[] {
  if (problem.code === "cycle") {
    return [{ label: "Remove a wire", edit: (now) => breakCycle(now, place, node) }];
  }
  if (problem.code === "conflict") return [{ label: `Remove ${node}`, edit: (now) => removeNodes(now, place, [node]) }];
  if (problem.code !== "unknown_node_type") return [];
  const { suggestion } = problem;
  const replace: ProblemFix[] = suggestion ? [{ label: `Replace by ${suggestion}`, edit: (now) => changeType(now, place, node, suggestion) }] : [];
  return [...replace, { label: "Delete, keep the wire", edit: (now) => removeNodes(now, place, [node], catalogue ? { keepWires: catalogue } : {}) }];
}

/** Removes the first wire by which a node comes back to itself. */
function breakCycle(document: Document, place: Place, node: string): Attempt {
  const wires = [...links(graphOf(document, place).nodes)];
  const reaches = (from: string, seen: Set<string>): boolean => {
    if (from === node) return true;
    if (seen.has(from)) return false;
    seen.add(from);
    return wires.some((wire) => wire.source === from && reaches(wire.target, seen));
  };
  const wire = wires.find((one) => one.source === node && reaches(one.target, new Set()));
  if (!wire) return { refused: `${node} is on no circle any more.` };
  return disconnect(document, place, { node: wire.target, input: wire.input, ...(wire.index !== null && { index: wire.index }) });
}

/** A `save_image` for the last picture of the graph. */
function outputFixes(document: Document, catalogue: Catalogue): ProblemFix[] {
  if (!catalogue.get("save_image")) return [];
  const source = entriesOf(document.nodes).findLast(([id]) => catalogue.madeType(document, null, { node: id }) && catalogue.output(document, null, { node: id })?.type === "Image")?.[0];
  const add = (now: Document): Attempt => {
    const added = addNode(now, null, "save_image");
    if (isRefusal(added) || source === undefined) return added;
    const linked = connect(apply(now, added).document, null, { node: source, output: null }, { node: added.id, input: "image" }, catalogue);
    return isRefusal(linked) ? added : { label: added.label, operations: [...added.operations, ...linked.operations] };
  };
  return [{ label: "Add save_image", edit: add }];
}
