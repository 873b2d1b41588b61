/** The slider of the app view and the phone: the usual range of a number, moved by pointer or keys. */
import { useRef, type KeyboardEvent, type PointerEvent } from "react";
import { gaugeAt, sliderNumber, stepNumber, type NumberRules } from "./numbers";

interface SliderProps {
  readonly label: string;
  readonly rules: NumberRules;
  readonly text: string;
  readonly describedBy?: string | undefined;
  onMove(text: string): void;
  onTake(text: string): void;
}

export function Slider({ label, rules, text, describedBy, onMove, onTake }: SliderProps) {
  const bar = useRef<HTMLDivElement>(null);
  const dragging = useRef(false);
  const [low, high] = rules.gauge ?? [0, 1];
  const at = gaugeAt(text, rules.gauge);

  const place = (event: PointerEvent): string => {
    const box = bar.current?.getBoundingClientRect();
    return sliderNumber(box && box.width > 0 ? (event.clientX - box.left) / box.width : 0, rules);
  };
  const onKeyDown = (event: KeyboardEvent) => {
    const direction = event.key === "ArrowRight" || event.key === "ArrowUp" ? 1 : event.key === "ArrowLeft" || event.key === "ArrowDown" ? -1 : 0;
    if (direction !== 0) {
      event.preventDefault();
      onTake(stepNumber(text, rules, direction, event.shiftKey ? 10 : event.altKey ? 0.1 : 1));
    } else if (event.key === "PageUp" || event.key === "PageDown") {
      event.preventDefault();
      onTake(stepNumber(text, rules, event.key === "PageUp" ? 1 : -1, 10));
    } else if (event.key === "Home" || event.key === "End") {
      event.preventDefault();
      onTake(sliderNumber(event.key === "Home" ? 0 : 1, rules));
    }
  };

  return (
    <div className="slider-box">
      <div
        ref={bar}
        className="slider"
        role="slider"
        tabIndex={0}
        aria-label={label}
        aria-describedby={describedBy}
        aria-valuemin={low}
        aria-valuemax={high}
        aria-valuenow={Number(text)}
        onKeyDown={onKeyDown}
        onPointerDown={(event) => {
          if (event.button !== 0) return;
          dragging.current = true;
          event.currentTarget.setPointerCapture(event.pointerId);
          onMove(place(event));
        }}
        onPointerMove={(event) => dragging.current && onMove(place(event))}
        onPointerUp={(event) => {
          if (!dragging.current) return;
          dragging.current = false;
          onTake(place(event));
        }}
        onPointerCancel={() => {
          dragging.current = false;
          onTake(text);
        }}
      >
        <i style={{ width: `${(at * 100).toFixed(2)}%` }} />
        <b style={{ left: `${(at * 100).toFixed(2)}%` }} />
      </div>
      <div className="slider-box__ends faint tiny" aria-hidden="true">
        <span>{low}</span>
        <span>{high}</span>
      </div>
    </div>
  );
}
