/** Lines with right angles as SVG paths with round corners. */

export interface Spot {
  readonly x: number;
  readonly y: number;
}

const CORNER = 10;

/** The path along corners; each segment is level or upright. */
export function roundedPath(spots: readonly Spot[], radius = CORNER): string {
  const corners = cleaned(spots);
  const [first] = corners;
  if (!first) return "";
  let path = `M${text(first.x)} ${text(first.y)}`;
  for (let index = 1; index < corners.length; index += 1) {
    const before = corners[index - 1] as Spot;
    const at = corners[index] as Spot;
    const after = corners[index + 1];
    if (!after) {
      path += `L${text(at.x)} ${text(at.y)}`;
      continue;
    }
    const round = Math.min(radius, distance(before, at) / 2, distance(at, after) / 2);
    const from = towards(at, before, round);
    const to = towards(at, after, round);
    path += `L${text(from.x)} ${text(from.y)}Q${text(at.x)} ${text(at.y)} ${text(to.x)} ${text(to.y)}`;
  }
  return path;
}

/** Corners without those where nothing turns. */
function cleaned(spots: readonly Spot[]): Spot[] {
  const result: Spot[] = [];
  for (const spot of spots) {
    const last = result.at(-1);
    const before = result.at(-2);
    if (last && last.x === spot.x && last.y === spot.y) continue;
    const straight = last && before && ((before.x === last.x && last.x === spot.x) || (before.y === last.y && last.y === spot.y));
    if (straight) result.pop();
    result.push(spot);
  }
  return result;
}

function distance(a: Spot, b: Spot): number {
  return Math.abs(a.x - b.x) + Math.abs(a.y - b.y);
}

function towards(from: Spot, to: Spot, by: number): Spot {
  return { x: from.x + Math.sign(to.x - from.x) * by, y: from.y + Math.sign(to.y - from.y) * by };
}

function text(value: number): string {
  return String(Math.round(value * 10) / 10);
}
