/** Where the keys are on the canvas, and bringing them elsewhere. */
import { own } from "../document/objects";
import { useWorkspace } from "../state/workspace";
import { here } from "./acts";
import { inOrder } from "./neighbours";
import { focusCard, reveal, useScene } from "./sceneStore";

/** The node that the keys are on. */
export function focused(): string | null {
  const now = here();
  const id = now?.tab.focus ?? null;
  return id !== null && now !== null && own(now.nodes, id) !== undefined ? id : null;
}

/** Puts the keys on a node and makes it the one that is chosen. */
export function goTo(id: string | null): void {
  if (id === null) return;
  useWorkspace.getState().select([id], id);
  focusCard(id);
}

/** The next or previous node of the run, when it is not on the page: it is moved into view first. False: the browser does it. */
export function tabTo(step: 1 | -1): boolean {
  const { order } = useScene.getState();
  const next = inOrder(order, focused(), step);
  if (next === null) return false;
  const shown = document.querySelector(`[data-card="${CSS.escape(next)}"]`) !== null;
  if (!shown) {
    focusCard(next);
    return true;
  }
  reveal(next);
  return false;
}
