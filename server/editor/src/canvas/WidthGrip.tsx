import { useRef } from "react";
import { useScene } from "./sceneStore";

/** The right edge of a card: dragged, it makes the card wider or narrower in steps of 4; a double-click gives the width back that it came with. */
export function WidthGrip({ width, onWidth }: { readonly width: number; readonly onWidth: (width: number) => void }) {
  const start = useRef<{ x: number; width: number } | null>(null);
  return (
    <span
      className="card__grip nodrag nopan"
      aria-hidden="true"
      onPointerDown={(event) => {
        if (event.button !== 0) return;
        event.stopPropagation();
        event.currentTarget.setPointerCapture(event.pointerId);
        start.current = { x: event.clientX, width };
      }}
      onPointerMove={(event) => {
        const from = start.current;
        if (from === null) return;
        const zoom = useScene.getState().flow?.getZoom() ?? 1;
        const wide = steppedWidth(from.width + (event.clientX - from.x) / zoom);
        if (wide !== width) onWidth(wide);
      }}
      onPointerUp={() => { start.current = null; onWidth(0); }}
      onPointerCancel={() => { start.current = null; onWidth(0); }}
      onDoubleClick={(event) => { event.stopPropagation(); onWidth(-1); }}
    />
  );
}

/** A width in steps of 4, within what cards may have. */
export function steppedWidth(width: number): number {
  return Math.min(640, Math.max(128, Math.round(width / 4) * 4));
}
