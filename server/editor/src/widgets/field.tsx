/** What all fields share: their properties, the box around a value, the keys that work in each. */
import { useCallback, useEffect, useRef, type KeyboardEvent, type ReactNode, type Ref } from "react";
import type { Json } from "../document/types";

/** Where a widget stands: on a card (22 px), in a panel (28 px), in the app view and on a phone (36 px and more). */
export type Size = "card" | "panel" | "app";

/** `own`: not the default. `now`: changed since the last run. */
export type Changed = "no" | "own" | "now";

export interface How {
  /** False while a drag or typing goes on: what follows belongs to the same step of undo. */
  readonly final: boolean;
}

export interface FieldProps {
  /** Of the element that the label names. */
  readonly id: string;
  readonly label: string;
  /** A literal as it is meant, never a link; undefined: the default stands. */
  readonly value: Json | undefined;
  readonly fallback: Json | undefined;
  /** The value of the last run, when it was another. */
  readonly was?: Json | undefined;
  readonly size: Size;
  readonly changed: Changed;
  readonly invalid: boolean;
  /** Ids of the sentences that say what is wrong or what it is for. */
  readonly describedBy?: string | undefined;
  readonly readOnly?: boolean | undefined;
  onChange(value: Json | undefined, how: How): void;
  /** `Ctrl+L`: takes a link instead. */
  onLink?: (() => void) | undefined;
}

/** Keys of every field (DESIGN.md, 7). True when the key was one of them. */
export function fieldKey(event: KeyboardEvent, props: Pick<FieldProps, "onChange" | "onLink">): boolean {
  const command = event.ctrlKey || event.metaKey;
  if (command && event.key === "Backspace") {
    event.preventDefault();
    event.stopPropagation();
    props.onChange(undefined, { final: true });
    return true;
  }
  if (command && event.key.toLowerCase() === "l" && props.onLink) {
    event.preventDefault();
    event.stopPropagation();
    props.onLink();
    return true;
  }
  return false;
}

export function classes(...names: (string | false | null | undefined)[]): string {
  return names.filter(Boolean).join(" ");
}

interface BoxProps {
  readonly props: FieldProps;
  readonly className?: string | undefined;
  readonly gauge?: number | undefined;
  readonly boxRef?: Ref<HTMLDivElement>;
  readonly children: ReactNode;
  /** The name stands inside on cards; boxes of text have none. */
  readonly named?: boolean;
}

/** The box of one value: its name on cards, the dot of a change, the gauge on its lower edge. */
export function Box({ props, className, gauge, boxRef, children, named = true }: BoxProps) {
  const { size, changed, invalid, label } = props;
  return (
    <div
      ref={boxRef}
      className={classes("field", `field--${size}`, size === "card" && "field--small", invalid && "field--failed", changed === "no" && "field--default", className)}
    >
      {gauge !== undefined && <span className="field__gauge" style={{ width: `${(gauge * 100).toFixed(2)}%` }} />}
      {changed === "now" && size === "card" && <span className="changed" title="changed since the last run" />}
      {named && size === "card" && (
        <span className="field__name cut" aria-hidden="true">
          {label}
        </span>
      )}
      {children}
    </div>
  );
}

/** What ARIA wants of the element that holds the value. */
export function aria(props: FieldProps) {
  return {
    id: props.id,
    "aria-label": props.label,
    "aria-invalid": props.invalid || undefined,
    "aria-describedby": props.describedBy || undefined,
  } as const;
}

/** Calls at most each 100 ms while a drag or typing goes on; `now` ends it with the last value. */
export function useEased(call: (value: Json | undefined, how: How) => void, wait = 100) {
  const latest = useRef(call);
  latest.current = call;
  const waiting = useRef<{ timer: number; value: Json | undefined } | null>(null);

  const drop = useCallback(() => {
    if (waiting.current) window.clearTimeout(waiting.current.timer);
    waiting.current = null;
  }, []);
  const soon = useCallback(
    (value: Json | undefined) => {
      if (waiting.current) {
        waiting.current.value = value;
        return;
      }
      const timer = window.setTimeout(() => {
        const last = waiting.current;
        waiting.current = null;
        if (last) latest.current(last.value, { final: false });
      }, wait);
      waiting.current = { timer, value };
    },
    [wait],
  );
  const now = useCallback(
    (value: Json | undefined) => {
      drop();
      latest.current(value, { final: true });
    },
    [drop],
  );
  // A field that goes away (its node was folded, another one chosen) does not lose what was typed last.
  useEffect(
    () => () => {
      const last = waiting.current;
      drop();
      if (last) latest.current(last.value, { final: true });
    },
    [drop],
  );
  return { soon, now, drop };
}
