import { useEffect, useRef, useState, type KeyboardEvent, type PointerEvent } from "react";
import { around, type Box } from "./neighbours";
import { coloursOf, paint } from "./paint";
import { panBy, useScene, zoomBy } from "./sceneStore";
import { usePicture } from "./usePicture";

/** The whole graph, small, in the bottom panel; a click or drag moves the view there. */
export function MiniMap() {
  const canvas = useRef<HTMLCanvasElement>(null);
  const flow = useScene((state) => state.flow);
  const pane = useScene((state) => state.pane);
  const { picture, version, theme } = usePicture();
  const [view, setView] = useState<Box | null>(null);
  const place = useRef({ scale: 1, x: 0, y: 0 });

  useEffect(() => {
    if (flow === null || pane === null) return;
    const read = (): void => {
      const { x, y, zoom } = flow.getViewport();
      const { clientWidth, clientHeight } = pane;
      setView((last) => {
        const next = { x: -x / zoom, y: -y / zoom, width: clientWidth / zoom, height: clientHeight / zoom };
        return last !== null && last.x === next.x && last.y === next.y && last.width === next.width && last.height === next.height ? last : next;
      });
    };
    read();
    // The view has no event of its own outside React Flow; four times a second is enough for a map.
    const timer = setInterval(read, 250);
    return () => clearInterval(timer);
  }, [flow, pane]);

  useEffect(() => {
    const element = canvas.current;
    const context = element?.getContext("2d");
    if (!element || !context) return;
    const { clientWidth, clientHeight } = element;
    const ratio = Math.min(2, window.devicePixelRatio);
    element.width = clientWidth * ratio;
    element.height = clientHeight * ratio;
    const all = around([...picture.blocks, ...picture.groups, ...(view === null ? [] : [view])]);
    if (all === null) return;
    const scale = Math.min((clientWidth - 16) / all.width, (clientHeight - 16) / all.height);
    const x = (clientWidth - all.width * scale) / 2 - all.x * scale;
    const y = (clientHeight - all.height * scale) / 2 - all.y * scale;
    place.current = { scale, x, y };
    context.setTransform(ratio * scale, 0, 0, ratio * scale, x * ratio, y * ratio);
    const colours = coloursOf(element);
    paint(context, { ...picture, threads: [] }, colours, all, scale, true);
    if (view !== null) {
      context.strokeStyle = colours.ink;
      context.lineWidth = 1.5 / scale;
      context.strokeRect(view.x, view.y, view.width, view.height);
    }
  }, [picture, version, theme, view]);

  const go = (event: PointerEvent<HTMLCanvasElement>): void => {
    if (flow === null || (event.type === "pointermove" && event.buttons !== 1)) return;
    const box = event.currentTarget.getBoundingClientRect();
    const { scale, x, y } = place.current;
    void flow.setCenter((event.clientX - box.left - x) / scale, (event.clientY - box.top - y) / scale, { zoom: flow.getZoom() });
  };
  const onKeyDown = (event: KeyboardEvent): void => {
    const step = 120;
    const moves = new Map<string, () => void>([
      ["ArrowLeft", () => panBy(step, 0)], ["ArrowRight", () => panBy(-step, 0)], ["ArrowUp", () => panBy(0, step)], ["ArrowDown", () => panBy(0, -step)],
      ["+", () => zoomBy(1.25)], ["-", () => zoomBy(0.8)],
    ]);
    const move = moves.get(event.key);
    if (move === undefined) return;
    event.preventDefault();
    move();
  };
  return <canvas ref={canvas} className="map" role="img" aria-label="Map of the workflow; arrows move the view" tabIndex={0} onPointerDown={go} onPointerMove={go} onKeyDown={onKeyDown} />;
}
