/** What definitions may be called, and how deep they stand inside each other. */
import { graphOf } from "./graph";
import { entriesOf, has } from "./objects";
import { shown } from "./problem";
import type { Document } from "./types";

const DEFINITION_NAME = /^[A-Za-z_][A-Za-z0-9_.-]{0,63}$/;

/** Why a text cannot be the name of a definition, or null. */
export function definitionNameFault(name: string): string | null {
  if (DEFINITION_NAME.test(name)) return null;
  return `The definition name ${shown(name)} is not a letter or _ and up to 63 letters, digits, _ . or -.`;
}

/** How many definitions are inside each other at a type: 0 for what is no definition. A circle counts as too many. */
export function depthOf(document: Document, name: string, above: ReadonlySet<string> = new Set()): number {
  if (!has(document.definitions, name)) return 0;
  if (above.has(name) || above.size > 32) return 99;
  const inside = new Set(above).add(name);
  let deepest = 0;
  const seen = new Set<string>();
  for (const [, spec] of entriesOf(graphOf(document, name).nodes)) {
    if (seen.has(spec.type)) continue;
    seen.add(spec.type);
    deepest = Math.max(deepest, depthOf(document, spec.type, inside));
  }
  return 1 + deepest;
}

/** A name of a definition that is free: `base`, `base_2`, ... */
export function freshDefinitionName(document: Document, base: string, taken?: ReadonlySet<string>): string {
  const stem = base.replace(/[^A-Za-z0-9_.-]/gu, "_").slice(0, 56) || "graph";
  const start = /^[A-Za-z_]/.test(stem) ? stem : `_${stem}`;
  const used = (name: string): boolean => has(document.definitions, name) || (taken?.has(name) ?? false);
  if (!used(start)) return start;
  for (let number = 2; ; number += 1) if (!used(`${start}_${number}`)) return `${start}_${number}`;
}
