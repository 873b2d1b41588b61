/** Numbers: typed, stepped by keys, dragged sideways; with a gauge, or a slider in the app view. */
import { useRef, useState, type KeyboardEvent, type PointerEvent } from "react";
import { Box, aria, classes, fieldKey, useEased, type FieldProps } from "./field";
import { dragNumber, gaugeAt, readNumber, showNumber, stepNumber, type NumberRules } from "./numbers";
import { Slider } from "./Slider";
import { numberJson, numberText } from "./values";

export interface NumberProps extends FieldProps {
  readonly rules: NumberRules;
  /** What stands there when there is no number: "to the end". */
  readonly none?: string | undefined;
  /** In the app view a slider stands beside the number. */
  readonly slider?: boolean | undefined;
}

function factorOf(event: { shiftKey: boolean; altKey: boolean }): 0.1 | 1 | 10 {
  return event.shiftKey ? 10 : event.altKey ? 0.1 : 1;
}

/** A press that goes this far sideways is a drag; a shorter one chooses the text. */
const DRAG_BEGINS = 3;

export function NumberField(props: NumberProps) {
  const { rules, value, fallback, size } = props;
  const { soon, now, drop } = useEased(props.onChange);
  const input = useRef<HTMLInputElement>(null);
  const box = useRef<HTMLDivElement>(null);
  /** What is typed, while the field has the focus. */
  const [draft, setDraft] = useState<string | null>(null);
  /** What a drag or a step has come to, until the document has it. */
  const [moving, setMoving] = useState<string | null>(null);
  const [typo, setTypo] = useState<{ problem: string; nearest?: string } | null>(null);
  const before = useRef<FieldProps["value"]>(undefined);
  const drag = useRef<{ x: number; y: number; from: string; on: boolean; pointer: number } | null>(null);

  const standing = numberText(value === undefined ? fallback : value);
  const text = moving ?? standing ?? "";
  const shown = draft ?? (text === "" ? "" : showNumber(text, rules));

  const take = (typed: string): boolean => {
    const read = readNumber(typed, rules);
    if ("problem" in read) {
      setTypo(read);
      return false;
    }
    setTypo(null);
    setMoving(null);
    const next = "none" in read ? null : numberJson(read.text, rules.whole);
    const unchanged = "none" in read ? standing === null : standing === read.text || (moving === null && draft !== null && typed === standing);
    if (!unchanged || moving !== null) now(next);
    else drop();
    return true;
  };

  const step = (direction: 1 | -1, factor: 0.1 | 1 | 10) => {
    const from = draft !== null ? readNumber(draft, rules) : null;
    const start = from && "text" in from ? from.text : text || "0";
    const next = stepNumber(start, rules, direction, factor);
    setTypo(null);
    setMoving(next);
    if (draft !== null) setDraft(next);
    soon(numberJson(next, rules.whole));
  };

  const onKeyDown = (event: KeyboardEvent<HTMLInputElement>) => {
    if (fieldKey(event, props)) {
      setDraft(null);
      setMoving(null);
      setTypo(null);
      drop();
      return;
    }
    if (event.key === "ArrowUp" || event.key === "ArrowDown") {
      event.preventDefault();
      event.stopPropagation();
      step(event.key === "ArrowUp" ? 1 : -1, factorOf(event));
    } else if (event.key === "Enter" && !event.ctrlKey && !event.metaKey) {
      event.preventDefault();
      if (draft !== null && take(draft)) {
        const read = readNumber(draft, rules);
        setDraft("text" in read ? read.text : "");
        input.current?.select();
      }
    } else if (event.key === "Escape") {
      event.stopPropagation();
      const touched = moving !== null;
      setTypo(null);
      setMoving(null);
      setDraft(standing ?? "");
      drop();
      if (touched) props.onChange(before.current, { final: true });
      // After the next render: before it, leaving the field would take what was typed.
      requestAnimationFrame(() => input.current?.blur());
    }
  };

  const onBlur = () => {
    if (draft !== null && !take(draft)) drop();
    setDraft(null);
    setMoving(null);
  };

  const onPointerDown = (event: PointerEvent<HTMLDivElement>) => {
    if (event.button !== 0 || props.readOnly || document.activeElement === input.current) return;
    if (event.target instanceof Element && event.target.closest("button")) return;
    event.preventDefault();
    event.stopPropagation();
    drag.current = { x: event.clientX, y: event.clientY, from: text || "0", on: false, pointer: event.pointerId };
    before.current = value;
    event.currentTarget.setPointerCapture(event.pointerId);
  };
  const onPointerMove = (event: PointerEvent<HTMLDivElement>) => {
    const start = drag.current;
    if (!start) return;
    const far = event.clientX - start.x;
    if (!start.on && Math.abs(far) < DRAG_BEGINS) return;
    start.on = true;
    const next = dragNumber(start.from, rules, far, factorOf(event));
    setMoving(next);
    soon(numberJson(next, rules.whole));
  };
  const onPointerUp = (event: PointerEvent<HTMLDivElement>) => {
    const start = drag.current;
    drag.current = null;
    if (!start) return;
    if (start.on) {
      const next = dragNumber(start.from, rules, event.clientX - start.x, factorOf(event));
      setMoving(null);
      now(numberJson(next, rules.whole));
    } else {
      input.current?.focus();
      input.current?.select();
    }
  };
  const onPointerCancel = () => {
    if (drag.current?.on) props.onChange(before.current, { final: true });
    drag.current = null;
    setMoving(null);
    drop();
  };

  const was = props.was === undefined || draft !== null ? null : numberText(props.was);
  const gauge = rules.gauge && !typo && draft === null && text !== "" && !props.slider ? gaugeAt(text, rules.gauge) : undefined;
  const field = (
    <div className="number nodrag" onMouseDown={(event) => drag.current && event.preventDefault()} onPointerDown={onPointerDown} onPointerMove={onPointerMove} onPointerUp={onPointerUp} onPointerCancel={onPointerCancel}>
      <Box props={{ ...props, invalid: props.invalid || typo !== null }} gauge={gauge} boxRef={box} className={classes("field--number", draft !== null && "field--focus nowheel")}>
        {was !== null && was !== text && <span className="field__was push">{showNumber(was, rules)}</span>}
        <input
          ref={input}
          {...aria(props)}
          className={classes("field__input field__input--number", was !== null && was !== text && "field__input--tight")}
          type="text"
          inputMode={rules.whole ? "numeric" : "decimal"}
          role="spinbutton"
          aria-valuenow={text === "" ? undefined : Number(text)}
          aria-valuetext={shown === "" ? (props.none ?? "none") : shown}
          aria-valuemin={rules.range?.[0] ?? undefined}
          aria-valuemax={rules.range?.[1] ?? undefined}
          aria-invalid={props.invalid || typo !== null || undefined}
          aria-describedby={classes(typo && `${props.id}-typo`, props.describedBy) || undefined}
          autoComplete="off"
          spellCheck={false}
          readOnly={props.readOnly}
          placeholder={rules.optional ? (props.none ?? "none") : standing === null ? "needed" : undefined}
          size={Math.max(3, shown.length)}
          value={shown}
          onFocus={(event) => {
            before.current = value;
            setDraft(standing ?? "");
            const element = event.currentTarget;
            requestAnimationFrame(() => document.activeElement === element && element.select());
          }}
          onChange={(event) => {
            const typed = event.currentTarget.value;
            setDraft(typed);
            const read = readNumber(typed, rules);
            setTypo("problem" in read && typed.trim() !== "" && typed.trim() !== "-" ? read : null);
          }}
          onKeyDown={onKeyDown}
          onBlur={onBlur}
        />
      </Box>
      {typo && (
        <p className="field__typo small" id={`${props.id}-typo`} role="status">
          {typo.problem}{" "}
          {typo.nearest !== undefined && (
            <button
              type="button"
              className="link"
              onPointerDown={(event) => event.preventDefault()}
              onClick={() => {
                setDraft(null);
                take(typo.nearest ?? "");
              }}
            >
              Take {typo.nearest}
            </button>
          )}
        </p>
      )}
    </div>
  );
  if (!props.slider || size !== "app" || !rules.gauge) return field;
  return (
    <div className="slider-row">
      <Slider label={props.label} rules={rules} text={text || String(rules.gauge[0])} describedBy={props.describedBy} onMove={(next) => { setMoving(next); soon(numberJson(next, rules.whole)); }} onTake={(next) => { setMoving(null); now(numberJson(next, rules.whole)); }} />
      {field}
    </div>
  );
}
