/** The hue and the shape of kinds of data (DESIGN.md, 3). */
import { type TypeExpr, isListType, itemOf, parseType } from "./typeexpr";
import type { Family } from "./types";

const KINDS: ReadonlyMap<string, readonly [Family, string]> = new Map([
  ["Model", ["model", "square"]],
  ["ControlNet", ["model", "hole"]],
  ["T2IAdapter", ["model", "slot-across"]],
  ["Adapter", ["model", "letter"]],
  ["ImageAdapter", ["model", "slot-down"]],
  ["Conditioning", ["conditioning", "triangle"]],
  ["Guidance", ["guidance", "plus"]],
  ["Control", ["control", "shield"]],
  ["Latents", ["latents", "diamond"]],
  ["Trajectory", ["latents", "diamond-hole"]],
  ["Image", ["image", "circle"]],
  ["Mask", ["mask", "half-circle"]],
  ["int", ["value", "bar"]],
  ["float", ["value", "bar"]],
  ["str", ["value", "lying-bar"]],
  ["Path", ["value", "lying-bar"]],
  ["bool", ["value", "switch"]],
  ["Files", ["value", "sheet"]],
] satisfies [string, [Family, string]][]);

/** What a type counts as: the item of a list, the first arm of a union that is of a family. */
function kindOf(type: TypeExpr): readonly [Family, string] | null {
  if (isListType(type)) return kindOf(itemOf(type));
  if (type.kind === "choice") return ["value", "lying-bar"];
  if (type.kind === "union") {
    for (const arm of type.arms) {
      const kind = arm.kind === "none" ? null : kindOf(arm);
      if (kind) return kind;
    }
    return null;
  }
  if (type.kind === "name") return KINDS.get(type.name) ?? null;
  return ["value", "ring"];
}

/** The family of a type, which says its hue: `list[Guidance]` is guidance. */
export function family(type: string): Family {
  return kindOf(parseType(type))?.[0] ?? "value";
}

/**
 * The shape of a type's mark: square, hole, slot-across, slot-down, triangle, plus, shield, diamond, diamond-hole, circle,
 * half-circle, bar, lying-bar, switch, ring, sheet; `letter` for types of packs, drawn with `letterOf`.
 */
export function shape(type: string): string {
  return kindOf(parseType(type))?.[1] ?? "letter";
}

/** The first letter of a type that has no shape of its own. */
export function letterOf(type: string): string {
  let at = parseType(type);
  for (let steps = 0; steps < 9 && isListType(at); steps += 1) at = itemOf(at);
  return at.kind === "name" ? at.name.slice(0, 1).toUpperCase() : "?";
}
