/** Which ports of a card may take the wire that is dragged: the palette, the drop and the ring ask the same. */
import { fits } from "../catalogue/typeexpr";
import type { End } from "./canvasStore";
import type { CardModel } from "./model";

/** Handles of the ports that fit; outputs with `>` before their name. The first is the best. */
export function fitsOf(from: End, card: CardModel): ReadonlySet<string> {
  const found = new Set<string>();
  if (from.node === card.id) return found;
  if (from.side === "out") {
    const open: string[] = [];
    const linked: string[] = [];
    for (const row of card.rows) {
      if (row.port === null || !fits(from.type, row.port.takes)) continue;
      (row.port.linked ? linked : open).push(row.port.handle);
    }
    for (const handle of [...open, ...linked]) found.add(handle);
  } else {
    for (const row of card.rows) if (row.out !== null && fits(row.out.type, from.type)) found.add(`>${row.out.name}`);
  }
  return found;
}
