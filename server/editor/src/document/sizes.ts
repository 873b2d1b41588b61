/** How large a document is with what is inside of definitions, which counts once for each use. */
import { graphOf } from "./graph";
import { LIMITS, grouped } from "./json";
import { entriesOf, has, keysOf } from "./objects";
import { topological } from "./orders";
import { type Problem, problem, shown } from "./problem";
import type { Document, Nodes } from "./types";

/** The definitions that each definition uses. */
export function usesByName(document: Document): Map<string, string[]> {
  const uses = new Map<string, string[]>();
  for (const [name, definition] of entriesOf(document.definitions)) {
    const types = entriesOf(definition.nodes).map(([, spec]) => spec.type);
    uses.set(name, types.filter((type) => has(document.definitions, type)));
  }
  return uses;
}

/** Whether definitions stand too deep inside each other, or are too many nodes where they are used. None contains itself. */
export function* sizeProblems(document: Document, uses: ReadonlyMap<string, readonly string[]>): Generator<Problem> {
  const sizes = new Map<string, number>();
  const depths = new Map<string, number>();
  const sizeOf = (nodes: Nodes): number => entriesOf(nodes).reduce((sum, [, spec]) => sum + 1 + (sizes.get(spec.type) ?? 0), 0);
  for (const name of topological(uses)) {
    sizes.set(name, sizeOf(graphOf(document, name).nodes));
    depths.set(name, 1 + Math.max(0, ...(uses.get(name) ?? []).map((inner) => depths.get(inner) ?? 0)));
  }
  const deep = keysOf(document.definitions).find((name) => (depths.get(name) ?? 0) > LIMITS.inside);
  if (deep !== undefined) {
    const message = `The definition ${shown(deep)} has ${depths.get(deep)} definitions inside each other; at most ${LIMITS.inside} may be.`;
    yield problem("too_large", message, { given: deep });
  }
  const count = sizeOf(document.nodes);
  if (count > LIMITS.nodes) {
    const message = `With those inside of definitions there are ${grouped(count)} nodes; at most ${grouped(LIMITS.nodes)} may be.`;
    yield problem("too_large", message, { given: count, expected: LIMITS.nodes });
  }
}

/** Why a document that was made larger is too large, in a sentence; null where it is not. */
export function sizeFault(document: Document): string | null {
  let count = keysOf(document.nodes).length;
  for (const name of keysOf(document.definitions)) count += 1 + keysOf(graphOf(document, name).nodes).length;
  if (count > LIMITS.nodes) return `A workflow has at most ${grouped(LIMITS.nodes)} nodes.`;
  if (keysOf(document.definitions).length === 0) return null;
  for (const one of sizeProblems(document, usesByName(document))) return one.message;
  return null;
}
