import { useEffect, useId, useMemo, useRef, useState, type KeyboardEvent } from "react";
import { Icon, Mark } from "./parts";

/** One line of the palette. */
export interface PaletteHit {
  readonly name: string;
  readonly summary: string;
  /** What it makes, or takes: its mark. */
  readonly mark: string;
  /** Positions of the matched letters in the name. */
  readonly letters: readonly number[];
  /** Inputs (or outputs) that the wire may go to, the best first; empty without a wire. */
  readonly ports: readonly string[];
  /** Under which heading it stands. */
  readonly group: string;
}

interface PaletteProps {
  readonly screen: { readonly x: number; readonly y: number };
  readonly placeholder: string;
  readonly total: number;
  readonly find: (query: string) => readonly PaletteHit[];
  readonly onAdd: (hit: PaletteHit, port: string | null, stay: boolean) => void;
  readonly onHelp?: (hit: PaletteHit) => void;
  readonly onClose: () => void;
}

const WIDTH = 388;
const HEIGHT = 420;
const SHOWN = 60;

/** Search and add, at the pointer. */
export function Palette({ screen, placeholder, total, find, onAdd, onHelp, onClose }: PaletteProps) {
  const [query, setQuery] = useState("");
  const [at, setAt] = useState(0);
  const [ports, setPorts] = useState<number | null>(null);
  const list = useId();
  const field = useRef<HTMLInputElement>(null);
  const body = useRef<HTMLDivElement>(null);
  const hits = useMemo(() => find(query), [find, query]);
  const shown = hits.slice(0, SHOWN);
  const hit = shown[Math.min(at, shown.length - 1)];
  useEffect(() => field.current?.focus(), []);
  useEffect(() => {
    body.current?.querySelector('[aria-selected="true"]')?.scrollIntoView({ block: "nearest" });
  }, [at, ports]);

  const add = (one: PaletteHit, stay: boolean): void => {
    onAdd(one, (ports === null ? one.ports[0] : one.ports[ports]) ?? null, stay);
    if (stay) field.current?.select();
  };
  const onKeyDown = (event: KeyboardEvent<HTMLInputElement>): void => {
    event.stopPropagation();
    const input = event.currentTarget;
    const end = input.selectionStart === input.value.length && input.selectionEnd === input.value.length;
    const length = ports === null ? shown.length : (hit?.ports.length ?? 0);
    const step = (by: number): void => {
      if (length === 0) return;
      const next = (now: number): number => (now + by + length) % length;
      if (ports === null) setAt(next(Math.min(at, length - 1)));
      else setPorts(next(ports));
      event.preventDefault();
    };
    if (event.key === "ArrowDown") step(1);
    else if (event.key === "ArrowUp") step(-1);
    else if (event.key === "ArrowRight" && end && hit !== undefined && hit.ports.length > 1 && ports === null) {
      setPorts(0);
      event.preventDefault();
    } else if (event.key === "ArrowLeft" && ports !== null) {
      setPorts(null);
      event.preventDefault();
    } else if (event.key === "Enter") {
      event.preventDefault();
      if (hit !== undefined) add(hit, event.shiftKey);
    } else if (event.key === "F1" && hit !== undefined) {
      event.preventDefault();
      onHelp?.(hit);
    } else if (event.key === "Escape") {
      event.preventDefault();
      if (ports === null) onClose();
      else setPorts(null);
    }
  };

  const groups = grouped(shown);
  const left = Math.max(8, Math.min(screen.x, window.innerWidth - WIDTH - 8));
  const top = Math.max(8, Math.min(screen.y, window.innerHeight - HEIGHT - 8));
  const linked = hits.some((one) => one.ports.length > 0);
  return (
    <div className="menu palette" role="dialog" aria-label={placeholder} style={{ left, top, width: WIDTH }} onBlur={(event) => { if (!event.currentTarget.contains(event.relatedTarget)) onClose(); }}>
      <label className="search palette__search">
        <Icon name="search" />
        <input
          ref={field}
          role="combobox"
          aria-label={placeholder}
          aria-expanded="true"
          aria-controls={list}
          aria-autocomplete="list"
          aria-activedescendant={hit === undefined ? undefined : `${list}-${ports === null ? hit.name : `port-${ports}`}`}
          placeholder={placeholder}
          value={query}
          spellCheck={false}
          autoComplete="off"
          onChange={(event) => { setQuery(event.target.value); setAt(0); setPorts(null); }}
          onKeyDown={onKeyDown}
        />
      </label>
      <div ref={body} className="palette__list" role="listbox" id={list} aria-label="Nodes">
        {shown.length === 0 && <p className="palette__none">{`No node matches “${query}”.`}<span className="faint">Letters are looked for in order, in names and in summaries.</span></p>}
        {ports !== null && hit !== undefined
          ? <PortList list={list} hit={hit} at={ports} onChoose={(port) => onAdd(hit, port, false)} />
          : groups.map(([name, members]) => (
            <div key={name} role="group" aria-label={name}>
              <div className="menu__head row" aria-hidden="true">{name}<span className="push">{query === "" || linked ? `${members.length} node${members.length === 1 ? "" : "s"}` : `${hits.length} of ${total}`}</span></div>
              {members.map((one) => (
                <div
                  key={one.name}
                  id={`${list}-${one.name}`}
                  role="option"
                  aria-selected={one === hit}
                  className={one === hit ? "item item--chosen" : "item"}
                  onMouseDown={(event) => event.preventDefault()}
                  onClick={(event) => add(one, event.shiftKey)}
                >
                  <Mark type={one.mark} />
                  <span className="palette__name"><Matched text={one.name} letters={one.letters} /></span>
                  <span className="faint small cut palette__summary">{one.summary}</span>
                  {one.ports[0] !== undefined && <span className="quiet small">{one.ports[0]}</span>}
                </div>
              ))}
            </div>
          ))}
      </div>
      <div className="menu__foot" aria-hidden="true">
        <span className="row"><kbd>↑↓</kbd>choose</span>
        <span className="row"><kbd>⏎</kbd>{linked ? "add and link" : "add"}</span>
        {linked ? <span className="row"><kbd>→</kbd>other input</span> : <span className="row"><kbd>⇧⏎</kbd>add, stay open</span>}
        {linked ? <span className="row"><kbd>esc</kbd>cancel</span> : <span className="row"><kbd>F1</kbd>its help</span>}
      </div>
    </div>
  );
}

function PortList({ list, hit, at, onChoose }: { readonly list: string; readonly hit: PaletteHit; readonly at: number; readonly onChoose: (port: string) => void }) {
  return (
    <div role="group" aria-label={`Inputs of ${hit.name}`}>
      <div className="menu__head" aria-hidden="true">{hit.name}</div>
      {hit.ports.map((port, place) => (
        <div key={port} id={`${list}-port-${place}`} role="option" aria-selected={place === at} className={place === at ? "item item--chosen" : "item"} onMouseDown={(event) => event.preventDefault()} onClick={() => onChoose(port)}>
          <Mark type={hit.mark} />
          {port}
        </div>
      ))}
    </div>
  );
}

function grouped(hits: readonly PaletteHit[]): [string, PaletteHit[]][] {
  const groups = new Map<string, PaletteHit[]>();
  for (const hit of hits) {
    const members = groups.get(hit.group);
    if (members === undefined) groups.set(hit.group, [hit]);
    else members.push(hit);
  }
  return [...groups];
}

/** A name with its matched letters marked. */
function Matched({ text, letters }: { readonly text: string; readonly letters: readonly number[] }) {
  if (letters.length === 0) return text;
  const marked = new Set(letters);
  return [...text].map((letter, at) => (marked.has(at) ? <mark key={at}>{letter}</mark> : letter));
}
