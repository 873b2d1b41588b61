/** A list to choose from with a search above it: choices, models, files, sources of a link. */
import { useEffect, useId, useMemo, useRef, useState, type KeyboardEvent, type ReactNode } from "react";
import { classes } from "./field";
import { Popover } from "./Popover";

export interface Option {
  readonly key: string;
  readonly label: string;
  readonly aside?: string | undefined;
  readonly mark?: ReactNode;
  readonly group?: string | undefined;
}

interface PickerProps {
  readonly anchor: HTMLElement | null;
  readonly label: string;
  readonly options: readonly Option[];
  readonly chosen?: string | undefined;
  /** Text typed that is none of the options may be taken as it is. */
  readonly free?: boolean | undefined;
  readonly empty?: string | undefined;
  readonly width?: number | undefined;
  /** Options are chosen by the digits 1 to 9 while nothing is typed. */
  readonly numbered?: boolean | undefined;
  readonly foot?: ReactNode;
  onTake(key: string): void;
  onClose(back: boolean): void;
}

/** Rows that are drawn: more than fit on any screen, fewer than slow it down. */
const SHOWN = 200;

/** Options that have every typed word in their text, those that begin with it first. */
export function filtered(options: readonly Option[], query: string): Option[] {
  const words = query.toLowerCase().split(/\s+/).filter(Boolean);
  if (words.length === 0) return [...options];
  const first = words[0] ?? "";
  const hits = options.filter((option) => {
    const text = `${option.label} ${option.aside ?? ""} ${option.group ?? ""}`.toLowerCase();
    return words.every((word) => text.includes(word));
  });
  const begins = (option: Option) => (option.label.toLowerCase().startsWith(first) ? 0 : 1);
  return hits.sort((a, b) => begins(a) - begins(b));
}

export function Picker({ anchor, label, options, chosen, free, empty, width, numbered, foot, onTake, onClose }: PickerProps) {
  const id = useId();
  const [query, setQuery] = useState("");
  const hits = useMemo(() => filtered(options, query).slice(0, SHOWN), [options, query]);
  const [at, setAt] = useState(() => Math.max(0, options.findIndex((option) => option.key === chosen)));
  const list = useRef<HTMLDivElement>(null);
  const current = Math.min(at, hits.length - 1);

  useEffect(() => {
    list.current?.querySelector(`[data-at="${current}"]`)?.scrollIntoView({ block: "nearest" });
  }, [current, hits]);

  const take = (index: number) => {
    const option = hits[index];
    if (option) onTake(option.key);
    else if (free && query.trim() !== "") onTake(query.trim());
  };
  const onKeyDown = (event: KeyboardEvent<HTMLInputElement>) => {
    if (event.nativeEvent.isComposing) return;
    const exact = hits.some((option) => option.key === query.trim());
    if (event.key === "ArrowDown" || event.key === "ArrowUp") {
      const step = event.key === "ArrowDown" ? 1 : -1;
      setAt(hits.length === 0 ? 0 : (current + step + hits.length) % hits.length);
    } else if (event.key === "Home" && query === "") setAt(0);
    else if (event.key === "End" && query === "") setAt(hits.length - 1);
    else if (event.key === "Enter") {
      if (free && event.shiftKey && query.trim() !== "" && !exact) onTake(query.trim());
      else take(current);
    } else if (event.key === "Tab") onClose(true);
    else if (numbered && query === "" && /^[1-9]$/.test(event.key)) take(Number(event.key) - 1);
    else return;
    event.preventDefault();
    event.stopPropagation();
  };

  let group: string | undefined;
  return (
    <Popover anchor={anchor} label={label} width={width} onClose={onClose}>
      <input
        autoFocus
        className="popover__search"
        type="text"
        role="combobox"
        aria-expanded="true"
        aria-controls={`${id}-list`}
        aria-activedescendant={hits.length > 0 ? `${id}-${current}` : undefined}
        aria-autocomplete="list"
        aria-label={label}
        placeholder={free ? "Find, or type a name or path" : "Find"}
        autoComplete="off"
        spellCheck={false}
        value={query}
        onChange={(event) => {
          setQuery(event.currentTarget.value);
          setAt(0);
        }}
        onKeyDown={onKeyDown}
      />
      <div ref={list} id={`${id}-list`} className="popover__list" role="listbox" aria-label={label}>
        {hits.map((option, index) => {
          const head = option.group !== group ? option.group : undefined;
          group = option.group;
          return (
            <div key={option.key} role="presentation">
              {head && (
                <div className="menu__head" role="presentation">
                  {head}
                </div>
              )}
              <div
                id={`${id}-${index}`}
                data-at={index}
                role="option"
                aria-selected={index === current}
                className={classes("item", index === current && "item--chosen")}
                onPointerMove={() => index !== current && setAt(index)}
                onPointerDown={(event) => event.preventDefault()}
                onClick={() => onTake(option.key)}
              >
                {numbered && index < 9 && <kbd>{index + 1}</kbd>}
                {option.mark}
                <span className="cut">{option.label}</span>
                {option.aside && <span className="faint tiny cut push">{option.aside}</span>}
                {option.key === chosen && <span className="sr-only">, chosen now</span>}
              </div>
            </div>
          );
        })}
      </div>
      {hits.length === 0 && (
        <p className="popover__empty small quiet">
          {free && query.trim() !== "" ? (
            <button type="button" className="link" onClick={() => onTake(query.trim())}>
              Take “{query.trim()}” as it is
            </button>
          ) : (
            (empty ?? "Nothing fits these letters.")
          )}
        </p>
      )}
      {foot}
    </Popover>
  );
}
