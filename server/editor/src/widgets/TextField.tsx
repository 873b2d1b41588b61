/** Texts: one line, or a box that grows with its lines and marks learned words. */
import { useRef, useState, type KeyboardEvent, type UIEvent } from "react";
import { Box, aria, classes, fieldKey, type FieldProps } from "./field";
import { NOTHING_TAUGHT, textParts, untaughtWords, type Taught } from "./words";

export interface TextProps extends FieldProps {
  readonly lines?: boolean | undefined;
  readonly taught?: Taught | undefined;
  readonly placeholder?: string | undefined;
  /** Text of code: names of files, colours. */
  readonly code?: boolean | undefined;
}

const coarse = () => typeof matchMedia === "function" && matchMedia("(pointer: coarse)").matches;

/** What a text field keeps of its own while it has the focus, and the keys that take it or leave it. */
function useTyped(props: TextProps) {
  const standing = props.value === undefined ? props.fallback : props.value;
  const text = typeof standing === "string" ? standing : standing === undefined || standing === null ? "" : JSON.stringify(standing);
  const [draft, setDraft] = useState<string | null>(null);
  const take = () => {
    if (draft !== null && draft !== text) props.onChange(draft, { final: true });
  };
  const onKeyDown = (event: KeyboardEvent<HTMLInputElement | HTMLTextAreaElement>, lines: boolean) => {
    if (fieldKey(event, props)) {
      setDraft(null);
      return;
    }
    if (event.key === "Enter" && !event.nativeEvent.isComposing) {
      if (lines && (event.shiftKey || coarse()) && !event.ctrlKey && !event.metaKey) return;
      // Ctrl+Enter runs: what was typed has to be in the document before that, so this takes it and lets the key go on.
      take();
      if (!event.ctrlKey && !event.metaKey) event.preventDefault();
    } else if (event.key === "Escape") {
      event.stopPropagation();
      setDraft(null);
      const field = event.currentTarget;
      field.value = text;
      requestAnimationFrame(() => field.blur());
    }
  };
  return {
    shown: draft ?? text,
    focused: draft !== null,
    handlers: (lines: boolean) => ({
      value: draft ?? text,
      readOnly: props.readOnly,
      onFocus: () => setDraft(text),
      onChange: (event: { currentTarget: { value: string } }) => setDraft(event.currentTarget.value),
      onBlur: () => {
        take();
        setDraft(null);
      },
      onKeyDown: (event: KeyboardEvent<HTMLInputElement | HTMLTextAreaElement>) => onKeyDown(event, lines),
    }),
  };
}

export function TextField(props: TextProps) {
  return props.lines ? <TextBox {...props} /> : <TextLine {...props} />;
}

function TextLine(props: TextProps) {
  const { handlers, focused } = useTyped(props);
  return (
    <Box props={props} className={classes("field--line", focused && "field--focus")}>
      <input
        {...aria(props)}
        {...handlers(false)}
        className={classes("field__input", props.size === "card" && "field__input--number", props.code && "code", focused && "nodrag")}
        type="text"
        autoComplete="off"
        spellCheck={false}
        placeholder={props.placeholder}
      />
    </Box>
  );
}

function TextBox(props: TextProps) {
  const { handlers, focused, shown } = useTyped(props);
  const mirror = useRef<HTMLDivElement>(null);
  const taught = props.taught ?? NOTHING_TAUGHT;
  const parts = textParts(shown, taught);
  const untaught = props.taught ? untaughtWords(shown, taught) : [];
  const warning = `${props.id}-words`;
  const follow = (event: UIEvent<HTMLTextAreaElement>) => {
    if (mirror.current) mirror.current.scrollTop = event.currentTarget.scrollTop;
  };
  return (
    <>
      <Box props={props} named={false} className={classes("field--text field--box", focused && "field--focus nodrag nowheel")}>
        {/* The mirror gives the box its height and marks the words; the text area above it takes the keys. */}
        <div ref={mirror} className={classes("field__mirror", focused && "field__mirror--typing")} aria-hidden="true">
          {parts.map((part, at) =>
            part.word ? (
              <span key={at} className={classes("word", part.word === "untaught" && props.taught && "word--untaught")}>
                {part.text}
              </span>
            ) : (
              <span key={at}>{part.text}</span>
            ),
          )}
          {"\u200b"}
        </div>
        <textarea
          {...aria(props)}
          {...handlers(true)}
          aria-describedby={classes(untaught.length > 0 && warning, props.describedBy) || undefined}
          aria-label={props.label}
          className={classes("field__input field__input--box", !focused && "field__input--mirrored")}
          rows={1}
          spellCheck={false}
          placeholder={props.placeholder}
          onScroll={follow}
        />
      </Box>
      {untaught.length > 0 && (
        <p id={warning} className={props.size === "card" ? "sr-only" : "field__warning small"}>
          {untaught.length === 1 ? `No node upstream teaches ${untaught[0]}.` : `No node upstream teaches ${untaught.join(", ")}.`}
        </p>
      )}
    </>
  );
}
