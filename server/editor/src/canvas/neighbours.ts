/** Where the keyboard goes from a card: nearest that way, along threads, in the order of the run. */

export interface Box {
  readonly x: number;
  readonly y: number;
  readonly width: number;
  readonly height: number;
}

export type Direction = "left" | "right" | "up" | "down";

/** The nearest box in a direction: distance along it, plus twice what it lies aside. */
export function nearest(boxes: ReadonlyMap<string, Box>, from: string, direction: Direction): string | null {
  const start = boxes.get(from);
  if (start === undefined) return null;
  let best: string | null = null;
  let least = Infinity;
  for (const [id, box] of boxes) {
    if (id === from) continue;
    const cost = costOf(start, box, direction);
    if (cost < least) {
      least = cost;
      best = id;
    }
  }
  return best;
}

function costOf(a: Box, b: Box, direction: Direction): number {
  const across = direction === "left" || direction === "right";
  const sign = direction === "right" || direction === "down" ? 1 : -1;
  const ahead = across ? sign * (b.x + b.width / 2 - a.x - a.width / 2) : sign * (b.y + b.height / 2 - a.y - a.height / 2);
  if (ahead <= 1) return Infinity;
  const gap = across ? distance(a.y, a.height, b.y, b.height) : distance(a.x, a.width, b.x, b.width);
  const middle = across ? Math.abs(b.y + b.height / 2 - a.y - a.height / 2) : Math.abs(b.x + b.width / 2 - a.x - a.width / 2);
  // What is mostly aside is not "that way".
  if (gap > 0 && gap > ahead * 2) return Infinity;
  return ahead + 2 * gap + middle / 4;
}

/** How far two spans lie apart; 0 when they overlap. */
function distance(a: number, aLength: number, b: number, bLength: number): number {
  return Math.max(0, b - (a + aLength), a - (b + bLength));
}

/** The nearest box to a point, for a first focus and after a delete. */
export function nearestTo(boxes: ReadonlyMap<string, Box>, x: number, y: number): string | null {
  let best: string | null = null;
  let least = Infinity;
  for (const [id, box] of boxes) {
    const cost = Math.hypot(box.x + box.width / 2 - x, box.y + box.height / 2 - y);
    if (cost < least) {
      least = cost;
      best = id;
    }
  }
  return best;
}

/** The one `step` places on in a list, or null at its ends. */
export function inOrder(order: readonly string[], from: string | null, step: 1 | -1): string | null {
  if (from === null) return (step === 1 ? order[0] : order.at(-1)) ?? null;
  const at = order.indexOf(from);
  if (at < 0) return order[0] ?? null;
  return order[at + step] ?? null;
}

/** Smallest box around all. */
export function around(boxes: Iterable<Box>): Box | null {
  let left = Infinity, top = Infinity, right = -Infinity, bottom = -Infinity;
  for (const box of boxes) {
    left = Math.min(left, box.x);
    top = Math.min(top, box.y);
    right = Math.max(right, box.x + box.width);
    bottom = Math.max(bottom, box.y + box.height);
  }
  return left === Infinity ? null : { x: left, y: top, width: right - left, height: bottom - top };
}

/** Whether two boxes share an area. */
export function meets(a: Box, b: Box): boolean {
  return a.x < b.x + b.width && b.x < a.x + a.width && a.y < b.y + b.height && b.y < a.y + a.height;
}
