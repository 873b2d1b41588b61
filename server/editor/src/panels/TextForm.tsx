/** A labelled text that is taken on Enter and blur: titles and descriptions. */
import { useEffect, useId, useState, type KeyboardEvent } from "react";

export function TextForm({ label, value, lines, onTake }: { label: string; value: string; lines?: boolean; onTake(text: string): void }) {
  const id = useId();
  const [text, setText] = useState(value);
  useEffect(() => setText(value), [value]);
  const take = () => {
    if (text !== value) onTake(text);
  };
  const common = {
    id,
    className: "field",
    value: text,
    onChange: (event: { currentTarget: { value: string } }) => setText(event.currentTarget.value),
    onBlur: take,
    onKeyDown: (event: KeyboardEvent) => {
      if (event.key === "Enter" && !(lines && event.shiftKey)) {
        event.preventDefault();
        take();
      } else if (event.key === "Escape") {
        event.stopPropagation();
        setText(value);
      }
    },
  };
  return (
    <>
      <label htmlFor={id}>{label}</label>
      {lines ? <textarea rows={3} {...common} /> : <input type="text" autoComplete="off" {...common} />}
    </>
  );
}
