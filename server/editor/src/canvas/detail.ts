/** Level of detail: what of a card is drawn at which zoom (DESIGN.md, 9). */

export type Detail = "full" | "near" | "block" | "far";

/** From which zoom on each step is drawn. Below the last but one, cards are blocks on one layer. */
const STEPS: readonly (readonly [Detail, number])[] = [
  ["full", 0.66],
  ["near", 0.34],
  ["block", 0.18],
  ["far", 0],
];

/** The step for a zoom. */
export function detailAt(zoom: number): Detail {
  for (const [detail, from] of STEPS) if (zoom >= from) return detail;
  return "far";
}

/** Whether cards are drawn as blocks on one layer instead of as elements. */
export function isBlocks(detail: Detail): boolean {
  return detail === "block" || detail === "far";
}

const NAME_STEPS = [0.6, 0.5, 0.42, 0.34] as const;

/** The size of a card's name in the step "near", in pixels of the canvas: about 11 px on the screen, in few steps so that zooming restyles seldom. */
export function nameSize(zoom: number): number {
  const step = NAME_STEPS.find((from) => zoom >= from) ?? 0.34;
  return Math.round(11 / step);
}

/** Below this width on the screen a thread is drawn as one bundle per pair of groups. */
export function isBundled(zoom: number, width = 2): boolean {
  return width * zoom < 0.5;
}

/** From this many cards on, only those in view are elements of the page. */
export const CULL_FROM = 200;
