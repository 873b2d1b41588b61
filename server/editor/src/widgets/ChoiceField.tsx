/** Choices: segments for up to three, a list for more; switches. */
import { useRef, useState, type KeyboardEvent } from "react";
import { sameJson } from "../document/objects";
import type { Json } from "../document/types";
import { Icon } from "../marks";
import { Box, aria, classes, fieldKey, type FieldProps } from "./field";
import { Picker } from "./popups";
import { valueWords } from "./values";

export interface ChoiceProps extends FieldProps {
  readonly choices: readonly Json[];
  readonly segments: boolean;
}

export function ChoiceField(props: ChoiceProps) {
  const fits = props.choices.some((choice) => sameJson(choice, props.value ?? props.fallback));
  // A value that is none of the choices has no segment of its own: the list shows it as it is.
  return props.segments && props.size !== "card" && (fits || props.value === undefined) ? <Segments {...props} /> : <List {...props} />;
}

function Segments(props: ChoiceProps) {
  const current = props.value === undefined ? props.fallback : props.value;
  const at = props.choices.findIndex((choice) => sameJson(choice, current));
  const group = useRef<HTMLDivElement>(null);
  const choose = (index: number) => {
    const choice = props.choices[index];
    if (choice === undefined) return;
    props.onChange(choice, { final: true });
    group.current?.querySelectorAll<HTMLElement>("[role=radio]")[index]?.focus();
  };
  const onKeyDown = (event: KeyboardEvent) => {
    if (fieldKey(event, props)) return;
    const step = event.key === "ArrowRight" || event.key === "ArrowDown" ? 1 : event.key === "ArrowLeft" || event.key === "ArrowUp" ? -1 : 0;
    if (step === 0) return;
    event.preventDefault();
    event.stopPropagation();
    choose((Math.max(0, at) + step + props.choices.length) % props.choices.length);
  };
  return (
    <div
      ref={group}
      {...aria(props)}
      className={classes("segments segments--fill", props.size === "panel" && "segments--small", props.changed === "no" && "segments--default")}
      role="radiogroup"
      onKeyDown={onKeyDown}
    >
      {props.choices.map((choice, index) => (
        <button
          key={index}
          type="button"
          className="segment cut"
          role="radio"
          aria-checked={index === at}
          tabIndex={index === Math.max(0, at) ? 0 : -1}
          disabled={props.readOnly}
          onClick={() => choose(index)}
        >
          {choice === "" ? "none" : valueWords(choice)}
        </button>
      ))}
    </div>
  );
}

function List(props: ChoiceProps) {
  const current = props.value === undefined ? props.fallback : props.value;
  const at = props.choices.findIndex((choice) => sameJson(choice, current));
  const button = useRef<HTMLButtonElement>(null);
  const [open, setOpen] = useState(false);
  const step = (by: 1 | -1) => {
    const next = props.choices[Math.min(props.choices.length - 1, Math.max(0, at + by))];
    if (next !== undefined && !sameJson(next, current)) props.onChange(next, { final: true });
  };
  const onKeyDown = (event: KeyboardEvent) => {
    if (fieldKey(event, props)) return;
    if ((event.key === "ArrowDown" && event.altKey) || event.key === "Enter" || event.key === " ") {
      event.preventDefault();
      event.stopPropagation();
      setOpen(true);
    } else if (event.key === "ArrowDown" || event.key === "ArrowUp") {
      event.preventDefault();
      event.stopPropagation();
      step(event.key === "ArrowDown" ? 1 : -1);
    }
  };
  const shown = current === undefined ? "needed" : current === "" ? "none" : valueWords(current);
  return (
    <>
      <Box props={props} className={classes("field--list", open && "field--focus")}>
        <button
          ref={button}
          {...aria(props)}
          type="button"
          className="field__input field__button"
          aria-label={`${props.label}, ${shown}`}
          aria-haspopup="dialog"
          aria-expanded={open}
          disabled={props.readOnly}
          onClick={() => setOpen(true)}
          onKeyDown={onKeyDown}
        >
          <span className={classes("cut", current === undefined && "faint")}>{shown}</span>
          <Icon name="down" small />
        </button>
      </Box>
      {open && (
        <Picker
          anchor={button.current?.parentElement ?? null}
          label={props.label}
          options={props.choices.map((choice, index) => ({ key: String(index), label: choice === "" ? "none" : valueWords(choice), aside: sameJson(choice, props.fallback) ? "default" : undefined }))}
          chosen={at < 0 ? undefined : String(at)}
          onTake={(key) => {
            setOpen(false);
            props.onChange(props.choices[Number(key)], { final: true });
            button.current?.focus();
          }}
          onClose={(back) => {
            setOpen(false);
            if (back) button.current?.focus();
          }}
        />
      )}
    </>
  );
}

export function SwitchField(props: FieldProps & { readonly optional?: boolean | undefined }) {
  const current = props.value === undefined ? props.fallback : props.value;
  const on = current === true;
  const unset = current === null || current === undefined;
  const flip = () => props.onChange(props.optional && current === false ? null : !on, { final: true });
  const body = (
    <button
      {...aria(props)}
      type="button"
      className="switch-field"
      role="switch"
      aria-checked={on}
      disabled={props.readOnly}
      onClick={flip}
      onKeyDown={(event) => {
        fieldKey(event, props);
      }}
    >
      <span className={classes("switch", on && "switch--on")} aria-hidden="true" />
      <span className={on ? undefined : "quiet"}>{unset ? "none" : on ? "on" : "off"}</span>
    </button>
  );
  return props.size === "card" ? (
    <Box props={props} className="field--switch">
      <span className="push">{body}</span>
    </Box>
  ) : (
    <div className={classes("switch-row", props.invalid && "switch-row--failed")}>{body}</div>
  );
}
