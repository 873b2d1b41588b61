import { useStore, ViewportPortal, type ReactFlowState } from "@xyflow/react";
import { useEffect, useRef } from "react";
import { isBundled } from "./detail";
import { coloursOf, paint, type Picture } from "./paint";
import type { Box } from "./neighbours";

interface LayerProps {
  readonly picture: Picture;
  /** A number that grows when states changed. */
  readonly version: number;
  readonly theme: string;
}

interface View extends Box {
  readonly zoom: number;
}

const viewOf = (state: ReactFlowState): View => ({ x: -state.transform[0] / state.transform[2], y: -state.transform[1] / state.transform[2], width: state.width / state.transform[2], height: state.height / state.transform[2], zoom: state.transform[2] });
const sameView = (a: View, b: View): boolean => a.x === b.x && a.y === b.y && a.zoom === b.zoom && a.width === b.width && a.height === b.height;

/** How much more than the view is drawn, on each side, so that panning moves a drawing that is there. */
const MARGIN = 0.4;

/** All cards as blocks on one drawing, which moves with the view and is drawn anew only when it leaves what is drawn. */
export function BlockLayer({ picture, version, theme }: LayerProps) {
  const view = useStore(viewOf, sameView);
  const canvas = useRef<HTMLCanvasElement>(null);
  const drawn = useRef<{ area: Box; zoom: number; picture: Picture; version: number; theme: string } | null>(null);
  useEffect(() => {
    const element = canvas.current;
    if (element === null || view.width === 0) return;
    const last = drawn.current;
    const covered = last !== null && last.picture === picture && last.version === version && last.theme === theme
      && view.x >= last.area.x && view.y >= last.area.y
      && view.x + view.width <= last.area.x + last.area.width && view.y + view.height <= last.area.y + last.area.height
      && view.zoom / last.zoom < 1.5 && view.zoom / last.zoom > 0.75;
    if (covered) return;
    const area = { x: view.x - view.width * MARGIN, y: view.y - view.height * MARGIN, width: view.width * (1 + 2 * MARGIN), height: view.height * (1 + 2 * MARGIN) };
    const ratio = Math.min(2, window.devicePixelRatio) * view.zoom;
    element.width = Math.ceil(area.width * ratio);
    element.height = Math.ceil(area.height * ratio);
    element.style.transform = `translate(${area.x}px, ${area.y}px) scale(${1 / ratio})`;
    const context = element.getContext("2d");
    if (context === null) return;
    context.setTransform(ratio, 0, 0, ratio, -area.x * ratio, -area.y * ratio);
    paint(context, picture, coloursOf(element), area, view.zoom, isBundled(view.zoom));
    drawn.current = { area, zoom: view.zoom, picture, version, theme };
  }, [view, picture, version, theme]);
  return <ViewportPortal><canvas ref={canvas} className="blocks" aria-hidden="true" /></ViewportPortal>;
}

export interface BlockLabel {
  readonly id: string;
  readonly text: string;
  readonly kind: "running" | "failed" | "found" | "group" | "name";
  readonly x: number;
  readonly y: number;
}

const transformOf = (state: ReactFlowState): readonly [number, number, number] => state.transform;

/** Names that keep their size at any zoom: of groups, of what runs, failed or was found. */
export function BlockLabels({ labels }: { readonly labels: readonly BlockLabel[] }) {
  const [x, y, zoom] = useStore(transformOf);
  return (
    <div className="blocks-labels" aria-hidden="true" style={{ transform: `translate(${x}px, ${y}px)` }}>
      {labels.map((label) => (
        <span key={`${label.kind}:${label.id}`} className={`block-label block-label--${label.kind}`} style={{ transform: `translate(${label.x * zoom}px, ${label.y * zoom}px)` }}>{label.text}</span>
      ))}
    </div>
  );
}
