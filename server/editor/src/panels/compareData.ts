/** What two pictures are called by what differs between their workflows: "scale 0.0" against "scale 2.0". */
import { differences, type Difference, valueWords } from "../document/difference";
import type { Document } from "../document/types";

/** What made another picture: inputs, links, nodes, modes. Titles and parameters make none. */
export function pictureDifferences(a: Document, b: Document): Difference[] {
  return differences(a, b).filter(({ what }) => what !== "title" && what !== "parameter" && what !== "output");
}

/** Where a difference is: "sega.scale", "denoise". */
export function whereWords({ node, input }: Difference): string {
  return [node, input].filter(Boolean).join(".") || "the workflow";
}

/** The short names of two pictures; the runs' numbers where no one input says it. */
export function comparedLabels(found: readonly Difference[] | null, a: string, b: string): readonly [string, string] {
  const [first] = found?.filter(({ what }) => what === "changed") ?? [];
  if (!first || !found || found.length > 3) return [a, b];
  const name = first.input ?? first.node;
  const short = (text: string) => (text.length > 18 ? `${text.slice(0, 17)}…` : text);
  return [`${name} ${short(was(first.was))}`, `${name} ${short(was(first.now))}`];
}

const was = (value: Difference["was"]) => (value === undefined ? "as usual" : valueWords(value));

/** One difference as "2.0 and 0.0", for the line below two pictures. */
export function pairWords(difference: Difference): string {
  switch (difference.what) {
    case "added":
      return "only in B";
    case "removed":
      return "only in A";
    case "mode":
      return `${valueWords(difference.was) === "not set" ? "on" : valueWords(difference.was)} and ${valueWords(difference.now) === "not set" ? "on" : valueWords(difference.now)}`;
    default:
      return `${was(difference.was)} and ${was(difference.now)}`;
  }
}
