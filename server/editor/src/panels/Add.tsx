/** Every type of node: used lately, by category, or found by a search. Enter adds, a drag puts it where it is dropped. */
import { type KeyboardEvent, useMemo, useState } from "react";
import type { NodeType } from "../catalogue/types";
import { search } from "../catalogue/search";
import { addAt, TYPE_DRAG } from "../canvas";
import { usedLately } from "../canvas/used";
import { middle } from "../canvas/sceneStore";
import { chooseAndFocus } from "../canvas/nodeActs";
import { Icon, Mark } from "../marks";
import { useCatalogue } from "../state/catalogue";
import { placeOf, useWorkspace } from "../state/workspace";
import { counted } from "../state/words";
import { Empty } from "./Empty";
import { moveInList } from "./listKeys";
import "../styles/panels.css";

const LATELY = 5;

interface Group {
  readonly name: string;
  readonly types: readonly NodeType[];
  /** Its types are shown only when it is open. */
  readonly folds: boolean;
}

/** The groups of the panel: found ones, else used lately and the categories. */
export function groupsOf(types: readonly NodeType[], query: string, used: ReadonlyMap<string, number>): Group[] {
  if (query.trim() !== "") return [{ name: "Found", types: search(query, types, { used }).map(({ type }) => type), folds: false }];
  const lately = types.filter(({ name }) => used.has(name)).toSorted((a, b) => (used.get(b.name) ?? 0) - (used.get(a.name) ?? 0));
  const groups = new Map<string, NodeType[]>();
  for (const type of types) groups.set(type.category, [...(groups.get(type.category) ?? []), type]);
  return [
    ...(lately.length > 0 ? [{ name: "Used lately", types: lately.slice(0, LATELY), folds: false }] : []),
    ...[...groups].map(([name, list]) => ({ name, types: list, folds: true })),
  ];
}

export function Add() {
  const catalogue = useCatalogue((state) => state.catalogue);
  const tab = useWorkspace((state) => state.tabs.find((one) => one.id === state.current));
  const document = tab?.history.document;
  const place = tab ? placeOf(tab) : null;
  const [query, setQuery] = useState("");
  const [added, setAdded] = useState(0);
  const [open, setOpen] = useState<ReadonlySet<string>>(new Set());
  const types = useMemo(() => (catalogue && document ? catalogue.typesFor(document, place) : (catalogue?.all ?? [])), [catalogue, document, place]);
  const groups = useMemo(() => groupsOf(types, query, usedLately()), [types, query, added]);
  const found = query.trim() !== "" ? groups[0]?.types : undefined;
  const add = (type: string) => {
    if (!tab) return;
    const id = addAt(type, middle(), null, null);
    setAdded(added + 1);
    if (id !== null) chooseAndFocus([id]);
  };
  const fold = (name: string, on: boolean) => setOpen(new Set(on ? [...open, name] : [...open].filter((one) => one !== name)));
  let first = true;
  const tabIndex = () => {
    const index = first ? 0 : -1;
    first = false;
    return index;
  };
  return (
    <>
      <div className="panel__title">Add a node</div>
      <div className="search">
        <Icon name="search" />
        <input
          aria-label="Find a node type"
          placeholder={`Find one of ${counted(types.length, "type")}`}
          value={query}
          onChange={(event) => setQuery(event.currentTarget.value)}
          onKeyDown={(event) => {
            const best = found?.[0];
            if (event.key === "Enter" && best) {
              event.preventDefault();
              add(best.name);
            } else if (event.key === "ArrowDown") {
              event.preventDefault();
              event.currentTarget.closest("aside")?.querySelector<HTMLElement>("[data-row]")?.focus();
            } else if (event.key === "Escape" && query !== "") {
              event.stopPropagation();
              setQuery("");
            }
          }}
        />
      </div>
      <div className="panel__body panel__body--scrolls" data-rows>
        {groups.map((group) => {
          const shown = !group.folds || open.has(group.name);
          return (
            <section key={group.name} aria-label={group.name}>
              {group.folds ? (
                <button type="button" className="item item--button add__group" data-row tabIndex={tabIndex()} aria-expanded={shown} onClick={() => fold(group.name, !shown)} onKeyDown={(event) => folding(event, (on) => fold(group.name, on))}>
                  <Icon name={shown ? "down" : "right"} small />
                  <span className="medium">{group.name}</span>
                  <span className="push faint tiny">{group.types.length}</span>
                </button>
              ) : (
                <h2 className="section__title runs__title">
                  {group.name}
                  {found && <span className="push faint">{`${found.length} of ${types.length}`}</span>}
                </h2>
              )}
              {shown && (
                <ul>
                  {group.types.map((type) => (
                    <li key={type.name}>
                      <button
                        type="button"
                        className="item item--button add__type"
                        data-row
                        tabIndex={tabIndex()}
                        disabled={!tab}
                        draggable
                        title={type.summary}
                        onDragStart={(event) => {
                          event.dataTransfer.setData(TYPE_DRAG, type.name);
                          event.dataTransfer.effectAllowed = "copy";
                        }}
                        onClick={() => add(type.name)}
                        onKeyDown={(event) => void moveInList(event)}
                      >
                        <Mark type={type.outputs[0]?.type ?? "Files"} />
                        <span className="add__name">{type.name}</span>
                        <span className="faint small cut">{type.summary}</span>
                      </button>
                    </li>
                  ))}
                </ul>
              )}
            </section>
          );
        })}
        {found?.length === 0 && <Empty title={`No node matches “${query.trim()}”`}>Letters are looked for in order, in names and in summaries.</Empty>}
      </div>
    </>
  );
}

function folding(event: KeyboardEvent<HTMLElement>, fold: (on: boolean) => void): void {
  if (event.key === "ArrowRight" || event.key === "ArrowLeft") {
    event.preventDefault();
    fold(event.key === "ArrowRight");
  } else moveInList(event);
}
