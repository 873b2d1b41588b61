/** Where cards stand when nobody put them. What finds the places comes when it is needed. */
import type { Point } from "../document/edit-cards";
import { cardUi, graphOf } from "../document/graph";
import { keysOf } from "../document/objects";
import type { Document, Place } from "../document/types";
import type { Catalogue } from "../catalogue/catalogue";

/**
 * Places for the nodes of a graph, or for those of `ids` alone, which stay where they are as a whole. Fixed for the same
 * document. In a definition the cards of what it is given and gives (`#inputs`, `#outputs`) are placed as well.
 */
export async function tidy(
  document: Document,
  place: Place,
  catalogue: Catalogue,
  ids?: Iterable<string>,
): Promise<Map<string, Point>> {
  const { placed } = await import("./placed");
  return placed(document, place, catalogue, ids);
}

/** Whether a graph was never laid out: at least one of its nodes has no place. */
export function needsPlaces(document: Document, place: Place): string[] {
  return keysOf(graphOf(document, place).nodes).filter((id) => {
    const { x, y } = cardUi(document, place, id);
    return x === undefined || y === undefined;
  });
}
