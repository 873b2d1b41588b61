/** What the editor draws beside words: icons, and the shape and hue of a kind of data. */
import { family, letterOf, shape } from "../catalogue/families";
import { later } from "./later";

/** Stands once in the page. Drawings come beside the first part and not in it: the page stands without them for a moment. */
export const Sprite = later(async () => (await import("./Sprite")).Sprite);

interface IconProps {
  /** A drawing of Sprite.tsx, without its `i-`. */
  readonly name: string;
  readonly small?: boolean | undefined;
  /** Turns while something works; stands still where the reader wants no motion. */
  readonly spin?: boolean | undefined;
}

/** An icon. It says nothing to a screen reader: words stand beside it, or its button has a name. */
export function Icon({ name, small, spin }: IconProps) {
  return (
    <svg className={`icon${small ? " icon--small" : ""}${spin ? " spin" : ""}`} viewBox="0 0 16 16" aria-hidden="true">
      <use href={`#i-${name}`} />
    </svg>
  );
}

const DRAWINGS: ReadonlyMap<string, string> = new Map([
  ["square", "model"],
  ["hole", "net"],
  ["slot-across", "adapter"],
  ["slot-down", "adapter-down"],
  ["triangle", "conditioning"],
  ["plus", "guidance"],
  ["shield", "control"],
  ["diamond", "latents"],
  ["diamond-hole", "trajectory"],
  ["circle", "image"],
  ["half-circle", "mask"],
  ["bar", "number"],
  ["lying-bar", "text"],
  ["switch", "switch"],
  ["ring", "any"],
  ["sheet", "file"],
]);

function Shape({ type }: { readonly type: string }) {
  const drawing = DRAWINGS.get(shape(type));
  if (drawing) return <use href={`#p-${drawing}`} />;
  // A type of a pack has no shape of its own: a square with its first letter.
  return (
    <>
      <rect x="1" y="1" width="10" height="10" rx="1.2" />
      <text className="port__letter" x="6" y="9" textAnchor="middle">
        {letterOf(type)}
      </text>
    </>
  );
}

/** The mark of a kind of data, beside its name. */
export function Mark({ type }: { readonly type: string }) {
  return (
    <svg className={`mark type-${family(type)}`} viewBox="0 0 12 12" aria-hidden="true">
      <Shape type={type} />
    </svg>
  );
}

/** A port: filled when something is linked, open when not. */
export function Port({ type, filled }: { readonly type: string; readonly filled?: boolean | undefined }) {
  return (
    <svg className={`port type-${family(type)}${filled ? "" : " port--open"}`} viewBox="0 0 12 12" aria-hidden="true">
      <Shape type={type} />
    </svg>
  );
}
