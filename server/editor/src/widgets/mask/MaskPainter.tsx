/** Paints a mask over a picture: white is what is meant. By pointer, or by keys with a crosshair. Loaded when it is opened. */
import { useCallback, useEffect, useRef, useState, type KeyboardEvent, type PointerEvent } from "react";
import { api } from "../../service/api";
import { Icon } from "../../marks";
import { classes } from "../field";
import { useUpload } from "../upload";
import { brushStep, NOTHING, painted, redone, shownScale, undone, type Mark, type Painted, type Point, type Stroke } from "./strokes";
import "../../styles/painter.css";

interface PainterProps {
  readonly title: string;
  /** The picture that the mask is for; null: an empty field. */
  readonly over: string | null;
  /** The mask that there is; painting goes on from it. */
  readonly mask: string | null;
  onTake(file: string): void;
  onClose(): void;
}

const EMPTY = { width: 512, height: 512 };
const ROOM = { width: 0.86, height: 0.7 };

function drawStroke(context: CanvasRenderingContext2D, stroke: Stroke, from = 0): void {
  context.globalCompositeOperation = stroke.kind === "brush" ? "source-over" : "destination-out";
  context.strokeStyle = "#fff";
  context.fillStyle = "#fff";
  context.lineWidth = stroke.size;
  context.lineCap = "round";
  context.lineJoin = "round";
  const points = stroke.points.slice(Math.max(0, from));
  const first = points[0];
  if (!first) return;
  context.beginPath();
  if (points.length === 1) {
    context.arc(first.x, first.y, stroke.size / 2, 0, 2 * Math.PI);
    context.fill();
  } else {
    context.moveTo(first.x, first.y);
    for (const point of points) context.lineTo(point.x, point.y);
    context.stroke();
  }
  context.globalCompositeOperation = "source-over";
}

function drawMark(context: CanvasRenderingContext2D, mark: Mark): void {
  const { width, height } = context.canvas;
  if (mark.kind === "brush" || mark.kind === "erase") drawStroke(context, mark);
  else if (mark.kind === "clear") context.clearRect(0, 0, width, height);
  else if (mark.kind === "fill") {
    context.fillStyle = "#fff";
    context.fillRect(0, 0, width, height);
  } else {
    context.globalCompositeOperation = "xor";
    context.fillStyle = "#fff";
    context.fillRect(0, 0, width, height);
    context.globalCompositeOperation = "source-over";
  }
}

/** A mask's picture as paint: bright is opaque. */
function paintOf(image: HTMLImageElement, width: number, height: number): HTMLCanvasElement {
  const canvas = document.createElement("canvas");
  canvas.width = width;
  canvas.height = height;
  const context = canvas.getContext("2d", { willReadFrequently: true });
  if (!context) return canvas;
  context.drawImage(image, 0, 0, width, height);
  const pixels = context.getImageData(0, 0, width, height);
  const data = pixels.data;
  for (let at = 0; at < data.length; at += 4) {
    const bright = 0.299 * (data[at] ?? 0) + 0.587 * (data[at + 1] ?? 0) + 0.114 * (data[at + 2] ?? 0);
    data[at + 3] = (bright * (data[at + 3] ?? 255)) / 255;
    data[at] = data[at + 1] = data[at + 2] = 255;
  }
  context.putImageData(pixels, 0, 0);
  return canvas;
}

function loaded(file: string | null): Promise<HTMLImageElement | null> {
  if (!file) return Promise.resolve(null);
  return new Promise((resolve) => {
    const image = new Image();
    image.onload = () => resolve(image);
    image.onerror = () => resolve(null);
    image.src = api.fileUrl(file);
  });
}

export default function MaskPainter({ title, over, mask, onTake, onClose }: PainterProps) {
  const dialog = useRef<HTMLDialogElement>(null);
  const canvas = useRef<HTMLCanvasElement>(null);
  const below = useRef<HTMLCanvasElement | null>(null);
  const [size, setSize] = useState<{ width: number; height: number } | null>(null);
  const [state, setState] = useState<Painted>(NOTHING);
  const [tool, setTool] = useState<"brush" | "erase">("brush");
  const [brush, setBrush] = useState(32);
  const [cursor, setCursor] = useState<Point | null>(null);
  const [keyed, setKeyed] = useState(false);
  const stroke = useRef<Stroke | null>(null);
  const upload = useUpload((uploaded) => onTake(uploaded.file));

  useEffect(() => {
    dialog.current?.showModal();
    let gone = false;
    void Promise.all([loaded(over), loaded(mask)]).then(([picture, old]) => {
      if (gone) return;
      const base = picture ?? old;
      const wanted = base ? { width: base.naturalWidth, height: base.naturalHeight } : EMPTY;
      if (old) below.current = paintOf(old, wanted.width, wanted.height);
      setBrush(Math.max(4, Math.round(Math.min(wanted.width, wanted.height) / 12)));
      setCursor({ x: wanted.width / 2, y: wanted.height / 2 });
      setSize(wanted);
    });
    return () => {
      gone = true;
    };
  }, [over, mask]);

  const redraw = useCallback(() => {
    const context = canvas.current?.getContext("2d");
    if (!context) return;
    context.clearRect(0, 0, context.canvas.width, context.canvas.height);
    if (below.current) context.drawImage(below.current, 0, 0);
    for (const mark of state.done) drawMark(context, mark);
  }, [state]);
  useEffect(redraw, [redraw, size]);

  const scale = size ? shownScale(size.width, size.height, { width: window.innerWidth * ROOM.width, height: window.innerHeight * ROOM.height }) : 1;
  const pointOf = (event: PointerEvent): Point => {
    const box = canvas.current?.getBoundingClientRect();
    return box ? { x: (event.clientX - box.left) / scale, y: (event.clientY - box.top) / scale } : { x: 0, y: 0 };
  };
  const begin = (point: Point, kind: "brush" | "erase") => {
    stroke.current = { kind, size: brush, points: [point] };
    const context = canvas.current?.getContext("2d");
    if (context) drawStroke(context, stroke.current);
  };
  const follow = (point: Point) => {
    const current = stroke.current;
    if (!current) return;
    stroke.current = { ...current, points: [...current.points, point] };
    const context = canvas.current?.getContext("2d");
    if (context) drawStroke(context, stroke.current, stroke.current.points.length - 2);
  };
  const end = () => {
    const current = stroke.current;
    stroke.current = null;
    if (current) setState((before) => painted(before, current));
  };
  const largest = size ? Math.max(size.width, size.height) : 512;

  const onKeyDown = (event: KeyboardEvent) => {
    const command = event.ctrlKey || event.metaKey;
    const key = event.key.toLowerCase();
    const arrows: { readonly [key: string]: readonly [number, number] } = { arrowleft: [-1, 0], arrowright: [1, 0], arrowup: [0, -1], arrowdown: [0, 1] };
    const direction = Object.hasOwn(arrows, key) ? arrows[key] : undefined;
    const onCanvas = event.target === canvas.current;
    if (command && key === "z") setState(event.shiftKey ? redone : undone);
    else if (command && event.key === "Enter") take();
    else if (command) return;
    else if (direction && onCanvas && cursor && size) {
      const step = event.shiftKey ? Math.max(1, brush) : event.altKey ? 1 : Math.max(1, Math.round(brush / 4));
      const next = { x: Math.min(size.width, Math.max(0, cursor.x + direction[0] * step)), y: Math.min(size.height, Math.max(0, cursor.y + direction[1] * step)) };
      setKeyed(true);
      setCursor(next);
      follow(next);
    } else if (key === " " && onCanvas && cursor) {
      if (!event.repeat && !stroke.current) begin(cursor, tool);
    } else if (key === "[" || key === "-") setBrush((now) => brushStep(now, -1, largest));
    else if (key === "]" || key === "+") setBrush((now) => brushStep(now, 1, largest));
    else if (key === "b") setTool("brush");
    else if (key === "e") setTool("erase");
    else if (key === "i") setState((before) => painted(before, { kind: "invert" }));
    else if (key === "delete") setState((before) => painted(before, { kind: "clear" }));
    else return;
    event.preventDefault();
    event.stopPropagation();
  };

  const take = () => {
    if (!size) return;
    const out = document.createElement("canvas");
    out.width = size.width;
    out.height = size.height;
    const context = out.getContext("2d");
    if (!context || !canvas.current) return;
    context.fillStyle = "#000";
    context.fillRect(0, 0, size.width, size.height);
    context.drawImage(canvas.current, 0, 0);
    out.toBlob((blob) => {
      if (blob) void upload.send(new File([blob], "mask.png", { type: "image/png" }));
    }, "image/png");
  };

  return (
    <dialog ref={dialog} className="painter" aria-label={`Paint the mask ${title}`} onCancel={(event) => { event.preventDefault(); onClose(); }} onKeyDown={onKeyDown} onKeyUp={(event) => event.key === " " && end()}>
      <div className="painter__bar" role="toolbar" aria-label="Painting">
        <div className="segments" role="radiogroup" aria-label="Tool">
          {(["brush", "erase"] as const).map((item) => (
            <button key={item} type="button" role="radio" className="segment" aria-checked={tool === item} title={item === "brush" ? "B" : "E"} onClick={() => setTool(item)}>
              {item}
            </button>
          ))}
        </div>
        <label className="row painter__size">
          <span className="quiet">size</span>
          <input type="range" min={1} max={Math.max(2, Math.round(largest / 2))} value={brush} onChange={(event) => setBrush(Number(event.currentTarget.value))} />
          <span className="painter__number">{brush} px</span>
        </label>
        <button type="button" className="button button--plain" disabled={state.done.length === 0} onClick={() => setState(undone)}>
          <Icon name="undo" /> Undo
        </button>
        <button type="button" className="button button--plain" disabled={state.undone.length === 0} onClick={() => setState(redone)}>
          Redo
        </button>
        <button type="button" className="button button--plain" onClick={() => setState((before) => painted(before, { kind: "invert" }))}>
          Invert
        </button>
        <button type="button" className="button button--plain" onClick={() => setState((before) => painted(before, { kind: "fill" }))}>
          Fill
        </button>
        <button type="button" className="button button--plain" onClick={() => setState((before) => painted(before, { kind: "clear" }))}>
          Clear
        </button>
        <span className="push row painter__end">
          <button type="button" className="button" onClick={onClose}>
            Leave
          </button>
          <button type="button" className="button button--work" disabled={!size || upload.busy !== null} onClick={take}>
            {upload.busy ? "On its way" : "Take the mask"}
          </button>
        </span>
      </div>
      {upload.fault && (
        <p className="field__typo painter__fault" role="alert">
          {upload.fault}
        </p>
      )}
      {size && (
        <div className="painter__field" style={{ width: size.width * scale, height: size.height * scale }}>
          {over ? <img src={api.fileUrl(over)} alt="The picture that the mask is for" /> : <div className="painter__empty" />}
          <canvas
            ref={canvas}
            className={classes("painter__canvas", keyed && "painter__canvas--keyed")}
            width={size.width}
            height={size.height}
            tabIndex={0}
            role="img"
            aria-label={`Mask, ${size.width} by ${size.height}. Arrows move the brush, Space paints, brackets change its size.`}
            onPointerDown={(event) => {
              if (event.button > 0 && event.button !== 5) return;
              event.currentTarget.setPointerCapture(event.pointerId);
              setKeyed(false);
              begin(pointOf(event), event.button === 5 ? "erase" : tool);
            }}
            onPointerMove={(event) => {
              const point = pointOf(event);
              setCursor(point);
              if (stroke.current && !keyed) for (const step of event.nativeEvent.getCoalescedEvents?.() ?? []) follow({ x: point.x + (step.clientX - event.clientX) / scale, y: point.y + (step.clientY - event.clientY) / scale });
            }}
            onPointerUp={end}
            onPointerCancel={end}
            onBlur={end}
          />
          {cursor && <span className="painter__cursor" style={{ left: cursor.x * scale, top: cursor.y * scale, width: brush * scale, height: brush * scale }} />}
        </div>
      )}
      <p className="tiny quiet painter__keys">White is what is meant. B brush, E erase, [ ] size, I invert, Ctrl+Z back, Ctrl+Enter take, Esc leave; with the keys: arrows and Space.</p>
    </dialog>
  );
}
