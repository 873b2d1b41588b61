/** What was painted, as strokes: the picture is made of them anew after undo, so that nothing is kept but points. */

export interface Point {
  readonly x: number;
  readonly y: number;
}

export interface Stroke {
  readonly kind: "brush" | "erase";
  /** Diameter in pixels of the mask. */
  readonly size: number;
  readonly points: readonly Point[];
}

export interface Filled {
  readonly kind: "clear" | "fill" | "invert";
}

export type Mark = Stroke | Filled;

export interface Painted {
  readonly done: readonly Mark[];
  readonly undone: readonly Mark[];
}

export const NOTHING: Painted = { done: [], undone: [] };

export function painted(state: Painted, mark: Mark): Painted {
  return { done: [...state.done, mark], undone: [] };
}

export function undone(state: Painted): Painted {
  const last = state.done.at(-1);
  return last ? { done: state.done.slice(0, -1), undone: [...state.undone, last] } : state;
}

export function redone(state: Painted): Painted {
  const last = state.undone.at(-1);
  return last ? { done: [...state.done, last], undone: state.undone.slice(0, -1) } : state;
}

export const SMALLEST_BRUSH = 1;

/** The brush after one press of `[` or `]`: about a tenth smaller or larger, at least one pixel. */
export function brushStep(size: number, direction: 1 | -1, largest: number): number {
  const next = direction > 0 ? Math.ceil(size * 1.15) : Math.floor(size / 1.15);
  return Math.max(SMALLEST_BRUSH, Math.min(largest, next === size ? size + direction : next));
}

/** How large the mask is shown: as large as fits, whole multiples where it is small. */
export function shownScale(width: number, height: number, room: { width: number; height: number }): number {
  const fit = Math.min(room.width / width, room.height / height);
  return fit >= 2 ? Math.floor(fit) : Math.max(0.05, fit);
}
