/** Any value as JSON: what has no better field. */
import { useState } from "react";
import { Box, aria, classes, fieldKey, type FieldProps } from "./field";
import { jsonText, readJson } from "../document/json";
import type { Json } from "../document/types";

/** What was typed as a value; the problem as a sentence. A bare word is meant as a text. */
export function typedJson(typed: string): { readonly value: Json } | { readonly problem: string; readonly suggestion?: string } {
  const text = typed.trim();
  if (text === "") return { problem: "A value is needed: a number, “text” in quotes, true, false, null, [list] or {object}." };
  const read = readJson(text);
  if (!("problem" in read)) return { value: read.value };
  if (/^[^"[\]{},:\n]+$/.test(text)) return { problem: "Text stands in quotes here.", suggestion: jsonText(text) };
  return { problem: `This is not JSON. ${read.problem}` };
}

export function JsonField(props: FieldProps) {
  const standing = props.value === undefined ? props.fallback : props.value;
  const text = standing === undefined ? "" : jsonText(standing);
  const [draft, setDraft] = useState<string | null>(null);
  const read = draft === null || draft === text ? null : typedJson(draft);
  const problem = read && "problem" in read ? read : null;
  const take = () => {
    if (draft === null || draft === text) return;
    const now = typedJson(draft);
    if ("value" in now) props.onChange(now.value, { final: true });
  };
  return (
    <>
      <Box props={{ ...props, invalid: props.invalid || problem !== null }} named={false} className={classes("field--text field--box", draft !== null && "field--focus nodrag nowheel")}>
        <div className="field__mirror code" aria-hidden="true">
          {draft ?? text}
          {"\u200b"}
        </div>
        <textarea
          {...aria(props)}
          aria-invalid={props.invalid || problem !== null || undefined}
          aria-describedby={classes(problem && `${props.id}-typo`, props.describedBy) || undefined}
          className="field__input field__input--box code"
          rows={1}
          spellCheck={false}
          readOnly={props.readOnly}
          placeholder={"JSON, such as 7, \"text\" or [1, 2]"}
          value={draft ?? text}
          onFocus={() => setDraft(text)}
          onChange={(event) => setDraft(event.currentTarget.value)}
          onBlur={() => {
            take();
            setDraft(null);
          }}
          onKeyDown={(event) => {
            if (fieldKey(event, props)) setDraft(null);
            else if (event.key === "Enter" && !event.shiftKey) {
              take();
              if (!event.ctrlKey && !event.metaKey) event.preventDefault();
            } else if (event.key === "Escape") {
              event.stopPropagation();
              setDraft(text);
              const field = event.currentTarget;
              requestAnimationFrame(() => field.blur());
            }
          }}
        />
      </Box>
      {problem && draft !== null && (
        <p className="field__typo small" id={`${props.id}-typo`} role="status">
          {problem.problem}{" "}
          {problem.suggestion !== undefined && (
            <button
              type="button"
              className="link"
              onPointerDown={(event) => event.preventDefault()}
              onClick={() => setDraft(problem.suggestion ?? "")}
            >
              Take {problem.suggestion}
            </button>
          )}
        </p>
      )}
    </>
  );
}
