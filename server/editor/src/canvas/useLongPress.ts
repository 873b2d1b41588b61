/** A finger that stays opens the menu of what is under it, as the right button does. Some browsers do so by themselves, others never. */
import { useCallback, useEffect, useMemo, useRef, type PointerEvent } from "react";
import { useCanvas } from "./canvasStore";
import { openMenuAt } from "./openMenu";

const STAYS = 550;
const MOVES = 10;

/** Handlers for the canvas. */
export function useLongPress(off: boolean) {
  const press = useRef<{ x: number; y: number; timer: ReturnType<typeof setTimeout> } | null>(null);
  const end = useCallback(() => {
    if (press.current !== null) clearTimeout(press.current.timer);
    press.current = null;
  }, []);
  useEffect(() => end, [end]);
  const onPointerDown = useCallback((event: PointerEvent) => {
    const second = press.current !== null;
    end();
    if (off || second || event.pointerType !== "touch" || !(event.target instanceof Element)) return;
    if (event.target.closest("input, textarea, [role=menu], [role=dialog]") !== null) return;
    const { target, clientX: x, clientY: y } = event;
    press.current = { x, y, timer: setTimeout(() => {
      press.current = null;
      if (useCanvas.getState().menu === null) openMenuAt(target, x, y);
    }, STAYS) };
  }, [off, end]);
  const onPointerMove = useCallback((event: PointerEvent) => {
    const now = press.current;
    if (now !== null && Math.hypot(event.clientX - now.x, event.clientY - now.y) > MOVES) end();
  }, [end]);
  return useMemo(() => ({ onPointerDown, onPointerMove, onPointerUp: end, onPointerCancel: end }), [onPointerDown, onPointerMove, end]);
}
