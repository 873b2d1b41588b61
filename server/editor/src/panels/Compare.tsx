/** Two pictures of one size, with a bar between them that is drawn by pointer or moved by keys. */
import { type KeyboardEvent, type PointerEvent, useState } from "react";
import { Icon } from "../marks";

export interface ComparePicture {
  readonly source: string;
  /** "run 41". */
  readonly name: string;
  /** What stands in its corner: "scale 0.0". */
  readonly label: string;
}

interface CompareProps {
  readonly a: ComparePicture;
  readonly b: ComparePicture;
  readonly id?: string;
  /** Whether it may take the keys of the pictures beside it, as `X`. */
  readonly onSwap?: () => void;
}

/** Where the bar is after a key, in percent; null where the key is not for it. */
export function barAfter(at: number, key: string, shift: boolean): number | null {
  const step = shift ? 10 : 2;
  switch (key) {
    case "ArrowLeft":
    case "ArrowDown":
      return Math.max(0, at - step);
    case "ArrowRight":
    case "ArrowUp":
      return Math.min(100, at + step);
    case "Home":
    case "a":
    case "A":
      // All of one picture: B stands right of the bar.
      return key === "Home" ? 0 : 100;
    case "End":
      return 100;
    case "b":
    case "B":
      return 0;
    default:
      return null;
  }
}

export function Compare({ a, b, id, onSwap }: CompareProps) {
  const [at, setAt] = useState(50);
  const move = (event: PointerEvent<HTMLDivElement>) => {
    const box = event.currentTarget.getBoundingClientRect();
    if (box.width > 0) setAt(Math.max(0, Math.min(100, ((event.clientX - box.left) / box.width) * 100)));
  };
  const keys = (event: KeyboardEvent) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const next = barAfter(at, event.key, event.shiftKey);
    if (next === null && !(event.key.toLowerCase() === "x" && onSwap)) return;
    event.preventDefault();
    event.stopPropagation();
    if (next === null) onSwap?.();
    else setAt(next);
  };
  return (
    <div
      className="compare compare--square"
      id={id}
      role="slider"
      aria-label={`Compare ${a.name} with ${b.name}`}
      aria-orientation="horizontal"
      aria-valuemin={0}
      aria-valuemax={100}
      aria-valuenow={Math.round(at)}
      aria-valuetext={`${Math.round(at)} % ${a.name}, ${a.label}; ${100 - Math.round(at)} % ${b.name}, ${b.label}`}
      tabIndex={0}
      data-scope="compare"
      style={{ "--at": `${at}%` }}
      onKeyDown={keys}
      onPointerDown={(event) => {
        event.currentTarget.setPointerCapture(event.pointerId);
        move(event);
      }}
      onPointerMove={(event) => {
        if (event.buttons === 1) move(event);
      }}
    >
      <img src={a.source} alt="" draggable={false} />
      <img className="compare__b" src={b.source} alt="" draggable={false} />
      <span className="compare__bar">
        <span className="compare__grip">
          <Icon name="drag" small />
        </span>
      </span>
      {at > 12 && <span className="compare__label compare__label--a cut">{a.label}</span>}
      {at < 88 && <span className="compare__label compare__label--b cut">{b.label}</span>}
    </div>
  );
}
