/** Copy, cut, paste and duplicate: plain JSON through the clipboard of the system. */
import { copyNodes, pasteNodes } from "../document/clipboard";
import { isRefusal } from "../document/types";
import { act, here, tell, type Here } from "./acts";
import { ofKind } from "./ids";
import { around } from "./neighbours";
import { chooseAndFocus, targets } from "./nodeActs";
import { middle, useScene } from "./sceneStore";
import type { Points } from "./useDrags";

interface Point {
  readonly x: number;
  readonly y: number;
}

/** Alt and a drag: copies go where the drag ended, what was dragged stays. */
export function copyTo(points: Points, started: Points, withLinks: boolean): void {
  const ids = ofKind(points.keys(), "node");
  const first = ids[0];
  const to = first === undefined ? undefined : points.get(first), from = first === undefined ? undefined : started.get(first);
  if (to === undefined || from === undefined) return;
  const { boxes } = useScene.getState();
  const box = around(ids.flatMap((id) => boxes.get(id) ?? []));
  if (box !== null) copyHere(ids, { x: box.x + to.x - from.x, y: box.y + to.y - from.y }, withLinks);
}

function copyHere(ids: readonly string[], at: Point, withLinks: boolean): void {
  pasteText((now) => copyNodes(now.document, now.place, ids), at, withLinks, "copy");
}

function pasteText(textOf: (now: Here) => string, at: Point, withLinks: boolean, word: string): boolean {
  let ids: readonly string[] = [];
  const done = act((now) => {
    const pasted = pasteNodes(now.document, now.place, textOf(now), { ...at, withLinks });
    if (!isRefusal(pasted)) ids = pasted.ids;
    return pasted;
  });
  if (done && ids.length > 0) {
    chooseAndFocus(ids);
    tell(`${word}: ${ids.length === 1 ? ids[0] ?? "" : `${ids.length} nodes`}`);
  }
  return done;
}

/** The chosen nodes as text, for the clipboard. */
export function copyText(): string | null {
  const now = here();
  const ids = targets();
  return now === null || ids.length === 0 ? null : copyNodes(now.document, now.place, ids);
}

export function paste(text: string, withLinks: boolean, at: Point = middle()): boolean {
  return pasteText(() => text, at, withLinks, "pasted");
}

/** Copies the chosen beside themselves. */
export function duplicate(withLinks = true): boolean {
  const ids = targets();
  const box = around(ids.flatMap((id) => useScene.getState().boxes.get(id) ?? []));
  if (box === null) return false;
  copyHere(ids, { x: box.x + 24, y: box.y + 24 }, withLinks);
  return true;
}
