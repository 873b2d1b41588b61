/** The outline: the graph as a tree, the twin of the canvas for keys and screen readers. */
import { useCallback, useDeferredValue, useMemo, useRef, useState, type KeyboardEvent } from "react";
import { sameJson } from "../document/objects";
import { inputOf } from "../document/graph";
import type { Document } from "../document/types";
import { Icon } from "../marks";
import { nodeFace } from "../state/board";
import { useCatalogue } from "../state/catalogue";
import { shownRun } from "../state/runs";
import { placeOf, useWorkspace } from "../state/workspace";
import { definitions, deleteNodes, moveNode, tell, toggleCollapsed, toggleMode, ungroup } from "./acts";
import { OutlineEditor, type Editing } from "./OutlineEditor";
import { OutlineItem } from "./OutlineItem";
import { outlineRows, parseQuery, rowAfterKey, type OutlineRow } from "./outlineRows";
import "../styles/side.css";

/** The height of a row; on a phone that of a thumb. */
const ROWS = { desk: 24, phone: 44 } as const;
const AROUND = 12;
const EMPTY: ReadonlySet<string> = new Set();

export function Outline({ phone }: { readonly phone?: boolean }) {
  const tab = useWorkspace((state) => state.tabs.find((one) => one.id === state.current));
  if (!tab) return <p className="outline__empty quiet">No workflow is open.</p>;
  return <Tree key={tab.id} phone={phone === true} />;
}

function Tree({ phone }: { readonly phone: boolean }) {
  const ROW = phone ? ROWS.phone : ROWS.desk;
  const tab = useWorkspace((state) => state.tabs.find((one) => one.id === state.current));
  const catalogue = useCatalogue((state) => state.catalogue);
  const [turned, setTurned] = useState<ReadonlySet<string>>(EMPTY);
  const [query, setQuery] = useState("");
  const late = useDeferredValue(query);
  const [now, setNow] = useState<string | null>(null);
  const [editing, setEditing] = useState<Editing | null>(null);
  const [top, setTop] = useState(0);
  const [height, setHeight] = useState(600);
  const tree = useRef<HTMLDivElement>(null);
  const find = useRef<HTMLInputElement>(null);

  const tabId = tab?.id ?? "";
  const document = useDeferredValue(tab?.history.document);
  const place = tab ? placeOf(tab) : null;
  const trail = useMemo(() => tab?.trail.map((step) => step.use) ?? [], [tab?.trail]);
  const pathOf = useCallback((way: readonly string[], id: string) => [...trail, ...way, id].join("/"), [trail]);
  const rows = useMemo(() => {
    if (!document) return [];
    const last = shownRun(tabId)?.document as Document | undefined;
    return outlineRows(document, place, catalogue, {
      turned,
      find: parseQuery(late),
      stateOf: (way, id) => nodeFace(tabId, pathOf(way, id)).words,
      changedAt: (at, id, input) => last !== undefined && !sameJson(inputOf(document, at, id, input), inputOf(last, at, id, input)),
    });
  }, [document, place, catalogue, turned, late, tabId, pathOf]);

  const found = rows.findIndex((row) => row.key === now);
  const at = found >= 0 ? found : Math.max(0, rows.findIndex((row) => row.kind === "node" && row.way.length === 0 && tab?.selected.has(row.id)));
  const current = rows[at];
  if (!tab || !document) return null;

  const goTo = (index: number) => {
    const row = rows[index];
    const box = tree.current;
    if (!row || !box) return;
    setNow(row.key);
    if (index * ROW < box.scrollTop) box.scrollTop = index * ROW;
    else if ((index + 1) * ROW > box.scrollTop + box.clientHeight) box.scrollTop = (index + 1) * ROW - box.clientHeight;
    if (row.way.length === 0 && row.kind !== "group") useWorkspace.getState().select([row.id], row.id);
  };
  const turn = (key: string) =>
    setTurned((before) => {
      const next = new Set(before);
      if (!next.delete(key)) next.add(key);
      return next;
    });
  const elementOf = (row: OutlineRow | undefined) => (row ? tree.current?.querySelector<HTMLElement>(`[data-key="${CSS.escape(row.key)}"]`) : null) ?? tree.current;
  const edit = (row: OutlineRow | undefined, act: Editing["act"]) => {
    const anchor = elementOf(row);
    if (row && anchor) setEditing({ act, row, anchor });
  };
  const chosen = (row: OutlineRow): string[] => (row.way.length === 0 && tab.selected.has(row.id) ? [...tab.selected] : [row.id]);
  const move = (row: OutlineRow, by: 1 | -1) => {
    const beside = rows.filter((one) => one.kind === "node" && one.parent === row.parent);
    const other = beside[beside.findIndex((one) => one.key === row.key) + by];
    if (!other) tell(`${row.id} is the ${by < 0 ? "first" : "last"} here.`);
    else if (moveNode(row.place, row.id, by, other.id)) tell(`${row.id}, ${by < 0 ? "before" : "after"} ${other.id}`);
  };

  const onKeyDown = (event: KeyboardEvent<HTMLDivElement>) => {
    if (event.target !== event.currentTarget || !current) return;
    const command = event.ctrlKey || event.metaKey;
    const node = current.kind === "node";
    const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
    const done = () => {
      event.preventDefault();
      event.stopPropagation();
    };
    if (event.altKey && (key === "ArrowUp" || key === "ArrowDown") && !command) {
      if (event.shiftKey || !node) return;
      done();
      move(current, key === "ArrowUp" ? -1 : 1);
      return;
    }
    if (command || event.altKey) {
      if (!command || key !== "g" || !node) return;
      done();
      if (event.shiftKey) definitions.unpack(current.place, current.id);
      else edit(current, "define");
      return;
    }
    const to = rowAfterKey(rows, at, key);
    if (to) {
      done();
      if ("turn" in to) turn(to.turn);
      else goTo(to.to);
      return;
    }
    if (key === "*") {
      done();
      setTurned((before) => new Set([...before, ...rows.filter((row) => row.expandable && !row.open && row.parent === current.parent).map((row) => row.key)]));
    } else if (key === "Enter") {
      done();
      if (current.kind === "input") edit(current, "edit");
      else if (node) edit(current, "edit-first");
      else turn(current.key);
    } else if (key === "l" && current.kind !== "group") {
      done();
      edit(current, "link");
    } else if (key === "a" && current.kind !== "input") {
      done();
      edit(current, "add");
    } else if (key === "F2" && current.kind !== "input") {
      done();
      edit(current, "rename");
    } else if (key === "g" && node) {
      done();
      edit(current, "group");
    } else if ((key === "m" || key === "b") && node) {
      done();
      toggleMode(current.place, chosen(current), key === "m" ? "mute" : "bypass");
    } else if (key === "c" && node) {
      done();
      toggleCollapsed(current.place, chosen(current));
    } else if (key === " " && node && current.way.length === 0) {
      done();
      const next = new Set(tab.selected);
      if (!next.delete(current.id)) next.add(current.id);
      useWorkspace.getState().select(next, current.id);
    } else if (key === "Delete" || key === "Backspace") {
      done();
      if (current.kind === "input") edit(current, "reset");
      else if (current.kind === "group") ungroup(current.place, current.id);
      else {
        setNow(rows[at + 1]?.key ?? rows[at - 1]?.key ?? null);
        deleteNodes(current.place, chosen(current), key === "Backspace");
      }
    } else if (key === "/") {
      done();
      find.current?.focus();
    }
  };

  const first = Math.max(0, Math.floor(top / ROW) - AROUND);
  const last = Math.min(rows.length, Math.ceil((top + height) / ROW) + AROUND);
  const visible = rows.slice(first, last).map((row, index) => ({ row, index: first + index }));
  if (current && (at < first || at >= last)) visible.push({ row: current, index: at });

  return (
    <div className="outline">
      <div className="search">
        <Icon name="search" />
        <input
          ref={find}
          className="outline__find"
          type="search"
          value={query}
          placeholder="Find a node or value"
          aria-label="Find in the outline: a word, or state: type: takes: changed: group:"
          title="A word, or state: type: takes: changed: group:"
          autoComplete="off"
          spellCheck={false}
          onChange={(event) => setQuery(event.currentTarget.value)}
          onKeyDown={(event) => {
            if (event.key === "ArrowDown" || event.key === "Enter") {
              event.preventDefault();
              goTo(0);
              tree.current?.focus();
            } else if (event.key === "Escape") {
              event.stopPropagation();
              if (query === "") tree.current?.focus();
              setQuery("");
            }
          }}
        />
        {!phone && <kbd>/</kbd>}
      </div>
      <div
        ref={(element) => {
          tree.current = element;
          if (element && element.clientHeight > 0 && element.clientHeight !== height) setHeight(element.clientHeight);
        }}
        className="outline__tree tree"
        role="tree"
        tabIndex={0}
        aria-label={place === null ? `Nodes of ${tab.title}` : `Nodes of ${place}`}
        aria-multiselectable="true"
        aria-activedescendant={current ? `outline-${current.key}` : undefined}
        data-region="outline"
        onKeyDown={onKeyDown}
        onScroll={(event) => {
          setTop(event.currentTarget.scrollTop);
          setHeight(event.currentTarget.clientHeight);
        }}
      >
        <div className="outline__space" role="presentation" style={{ height: rows.length * ROW }}>
          {visible.map(({ row, index }) => (
            <OutlineItem
              key={row.key}
              row={row}
              top={index * ROW}
              now={index === at}
              chosen={row.kind === "node" && row.way.length === 0 && tab.selected.has(row.id)}
              tab={tabId}
              path={pathOf(row.way, row.id)}
              document={document}
              onPress={(more) => {
                // A thumb has no double click: a second tap edits an input, or opens a node.
                const again = phone && row.key === current?.key;
                tree.current?.focus();
                goTo(index);
                if (again) {
                  if (row.kind === "input") edit(row, "edit");
                  else turn(row.key);
                }
                if (more && row.way.length === 0 && row.kind === "node") useWorkspace.getState().select([...tab.selected, row.id], row.id);
              }}
              onOpen={() => (row.kind === "input" ? edit(row, "edit") : turn(row.key))}
              onTurn={() => turn(row.key)}
            />
          ))}
        </div>
        {rows.length === 0 && <p className="outline__empty quiet">{query ? "Nothing has these words." : "No nodes. A adds one."}</p>}
      </div>
      {!phone && (
        <div className="outline__foot" aria-hidden="true">
          <span className="row"><kbd>⏎</kbd>edit</span>
          <span className="row"><kbd>L</kbd>link</span>
          <span className="row"><kbd>A</kbd>add</span>
          <span className="row"><kbd>⌥↑</kbd>move</span>
        </div>
      )}
      {editing && (
        <OutlineEditor
          editing={editing}
          document={document}
          onNext={setEditing}
          onAdded={(key) => setNow(key)}
          onClose={() => {
            setEditing(null);
            tree.current?.focus();
          }}
        />
      )}
    </div>
  );
}
