/** One input in the inspector: dot, name, field, reset or unlink; help, range and default while it has the focus. */
import { HelpText } from "./HelpText";
import { memo, useId, useState } from "react";
import type { InputType } from "../catalogue/types";
import { isLink } from "../document/graph";
import { isList, sameJson } from "../document/objects";
import { Icon } from "../marks";
import { classes, type How } from "./field";
import { kindOf } from "./kinds";
import { rangeWords, showNumber } from "./numbers";
import { meant, numberText, valueWords } from "./values";
import { Widget, type WidgetProps } from "./Widget";

export interface InputRowProps extends Omit<WidgetProps, "size" | "describedBy" | "label"> {
  /** The parameter that sets this input, when there is one. */
  readonly parameter?: string | undefined;
  readonly pinned?: boolean | undefined;
  onPin?: ((on: boolean) => void) | undefined;
}

/** "0 to 10", "default 7.5", and what the keys do. */
export function factsOf(type: InputType): string[] {
  const kind = kindOf(type);
  const facts: string[] = [];
  const range = rangeWords({ range: type.range ?? null });
  if (range) facts.push(range);
  const number = kind.kind === "number" || kind.kind === "seed" ? numberText(type.default) : null;
  if (type.default !== undefined) facts.push(`default ${number !== null && "rules" in kind ? showNumber(number, kind.rules) : valueWords(type.default)}`);
  else if (type.required) facts.push("needed");
  if (kind.kind === "number" || kind.kind === "seed") facts.push("↑ ↓  ⇧ ×10  ⌥ ×0.1");
  else if (kind.kind === "text" && kind.lines) facts.push("⏎ take  ⇧⏎ new line");
  else if (kind.kind === "link" || kind.kind === "list") facts.push("Ctrl+L link");
  return facts;
}

export const InputRow = memo(function InputRow({ parameter, pinned, onPin, ...props }: InputRowProps) {
  const { type, value, input } = props;
  const id = useId();
  const [focused, setFocused] = useState(false);
  const own = value !== undefined && !sameJson(meant(value), type.default);
  const linkedHere = isLink(value);
  const empty = isList(value) && value.length === 0 && type.default === undefined;
  const help = `${id}-help`;
  const change = (next: WidgetProps["value"], how: How) => props.onChange(next, how);
  return (
    <div
      className="inspect__item"
      onFocus={() => setFocused(true)}
      onBlur={(event) => {
        if (!(event.relatedTarget instanceof Node && event.currentTarget.contains(event.relatedTarget))) setFocused(false);
      }}
    >
      <div className={classes("inspect__row", focused && "inspect__row--now")}>
        {props.was !== undefined ? <span className="changed" title="changed since the last run" /> : own && !linkedHere ? <span className="own" title="not the default" /> : <span />}
        <label className={classes("inspect__label cut", !own && "quiet")} htmlFor={`${id}-field`} title={input}>
          {input}
          {type.required && value === undefined && <span className="sr-only">, needed</span>}
          {own && <span className="sr-only">, not the default</span>}
        </label>
        <Widget {...props} id={`${id}-field`} size="panel" onChange={change} describedBy={focused ? help : undefined} />
        {value !== undefined && !empty && (own || linkedHere) ? (
          <button type="button" className="reset" aria-label={linkedHere ? `Remove the link of ${input}` : `Reset ${input}`} title={linkedHere ? "Remove the link" : "Reset: Ctrl+Backspace"} onClick={() => props.onChange(undefined, { final: true })}>
            <Icon name={linkedHere ? "unlink" : "reset"} small />
          </button>
        ) : (
          <span />
        )}
      </div>
      {(focused || parameter) && (
        <div className={focused ? "inspect__more" : undefined}>
          {focused && type.help && (
            <p className="inspect__help" id={help}>
              <HelpText text={type.help} />
            </p>
          )}
          <p className="inspect__facts">
            {parameter && (
              <span>
                parameter <span className="code">{parameter}</span>
              </span>
            )}
            {focused && factsOf(type).map((fact) => <span key={fact}>{fact}</span>)}
            {focused && onPin && (
              <button type="button" className="link push" aria-pressed={pinned} onClick={() => onPin(!pinned)}>
                {pinned ? "on the card: unpin" : "pin to the card"}
              </button>
            )}
          </p>
        </div>
      )}
    </div>
  );
});
