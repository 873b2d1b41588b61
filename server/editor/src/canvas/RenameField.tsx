import { useEffect, useRef, useState } from "react";

interface RenameProps {
  readonly name: string;
  readonly label: string;
  /** Takes the new name; a sentence when it cannot be. */
  readonly onTake: (name: string) => string | null;
  readonly onEnd: () => void;
}

/** A name, edited in place: Enter takes, Esc leaves it. */
export function RenameField({ name, label, onTake, onEnd }: RenameProps) {
  const [text, setText] = useState(name);
  const [refused, setRefused] = useState<string | null>(null);
  const field = useRef<HTMLInputElement>(null);
  useEffect(() => {
    field.current?.focus();
    field.current?.select();
  }, []);
  const take = (leave: boolean): void => {
    if (text === name) return onEnd();
    const why = onTake(text);
    if (why === null || leave) onEnd();
    else setRefused(why);
  };
  return (
    <input
      ref={field}
      className={refused === null ? "rename nodrag nopan" : "rename rename--failed nodrag nopan"}
      value={text}
      aria-label={label}
      aria-invalid={refused !== null}
      title={refused ?? undefined}
      spellCheck={false}
      onChange={(event) => { setText(event.target.value); setRefused(null); }}
      onBlur={() => take(true)}
      onKeyDown={(event) => {
        event.stopPropagation();
        if (event.key === "Enter") take(false);
        if (event.key === "Escape") onEnd();
      }}
    />
  );
}
