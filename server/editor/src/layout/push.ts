/** Room for what cards have only now: a message or a picture makes a card higher than the one who placed it knew. */
import type { Box } from "./threads";

/** A card with the height that it has without what came later. */
export interface Grown extends Box {
  readonly before: number;
}

const GAP = 8;

/**
 * How far each card is shown below its place: as far as a card above, which grew, reaches into it. Cards that overlap by the
 * will of whoever placed them stay as they are. The document is not touched.
 */
export function pushed(cards: ReadonlyMap<string, Grown>): Map<string, number> {
  const down = new Map<string, number>();
  if (![...cards.values()].some((card) => card.height > card.before)) return down;
  const order = [...cards].sort(([, a], [, b]) => a.y - b.y);
  for (const [index, [id, card]] of order.entries()) {
    let by = 0;
    for (const [above, other] of order.slice(0, index)) {
      const shift = down.get(above) ?? 0;
      if (shift === 0 && other.height <= other.before) continue;
      if (card.x >= other.x + other.width || card.x + card.width <= other.x) continue;
      if (card.y < other.y + other.before) continue;
      by = Math.max(by, other.y + shift + other.height + GAP - card.y);
    }
    if (by > 0) down.set(id, by);
  }
  return down;
}
