/** Colours: a swatch that opens the browser's own chooser, and the text, which may be a name. */
import { Box, aria, classes, fieldKey, type FieldProps } from "./field";
import { useEased } from "./field";
import { useState } from "react";

const NAMES: ReadonlyMap<string, string> = new Map([
  ["black", "#000000"],
  ["white", "#ffffff"],
  ["gray", "#808080"],
]);

/** The `#rrggbb` of a colour's text; null for none and for what is no colour. */
export function colourOf(text: string): string | null {
  const plain = text.trim().toLowerCase();
  if (/^#[0-9a-f]{6}$/.test(plain)) return plain;
  return NAMES.get(plain) ?? null;
}

/** What a typed colour becomes: `0d1550` and `#ABC` are meant as `#0d1550` and `#aabbcc`. */
export function typedColour(text: string): string {
  const plain = text.trim().toLowerCase();
  const short = /^#?([0-9a-f])([0-9a-f])([0-9a-f])$/.exec(plain);
  if (short) return `#${short.slice(1).map((digit) => digit + digit).join("")}`;
  return /^[0-9a-f]{6}$/.test(plain) ? `#${plain}` : text.trim();
}

export function ColourField(props: FieldProps) {
  const { soon, now } = useEased(props.onChange);
  const standing = props.value === undefined ? props.fallback : props.value;
  const text = typeof standing === "string" ? standing : "";
  const [draft, setDraft] = useState<string | null>(null);
  const colour = colourOf(draft ?? text);
  const take = () => {
    if (draft === null) return;
    const next = typedColour(draft);
    if (next !== text) props.onChange(next, { final: true });
  };
  return (
    <Box props={props} className={classes("field--colour nodrag", draft !== null && "field--focus")}>
      <input
        type="color"
        className={classes("swatch swatch--input", colour === null && "swatch--none")}
        aria-label={`${props.label}, choose a colour`}
        value={colour ?? "#ffffff"}
        disabled={props.readOnly}
        onChange={(event) => soon(event.currentTarget.value)}
        onBlur={(event) => {
          if (event.currentTarget.value !== (colour ?? "#ffffff")) now(event.currentTarget.value);
        }}
      />
      <input
        {...aria(props)}
        className="field__input code"
        type="text"
        autoComplete="off"
        spellCheck={false}
        placeholder={text === "" ? "none" : undefined}
        readOnly={props.readOnly}
        value={draft ?? text}
        onFocus={() => setDraft(text)}
        onChange={(event) => setDraft(event.currentTarget.value)}
        onBlur={() => {
          take();
          setDraft(null);
        }}
        onKeyDown={(event) => {
          if (fieldKey(event, props)) setDraft(null);
          else if (event.key === "Enter") {
            take();
            if (!event.ctrlKey && !event.metaKey) event.preventDefault();
          } else if (event.key === "Escape") {
            event.stopPropagation();
            setDraft(null);
            const field = event.currentTarget;
            requestAnimationFrame(() => field.blur());
          }
        }}
      />
    </Box>
  );
}
