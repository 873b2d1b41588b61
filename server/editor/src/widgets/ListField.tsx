/** Lists of literals and links in one order: each item a row that can be edited, moved and removed. */
import { useRef, useState, type DragEvent, type KeyboardEvent, type ReactNode } from "react";
import { isLink } from "../document/graph";
import { isList } from "../document/objects";
import type { Json } from "../document/types";
import { Icon } from "../marks";
import { classes, fieldKey, type FieldProps } from "./field";

export interface ListProps extends FieldProps {
  /** Draws one literal of the list. */
  item(value: Json, index: number, onChange: (value: Json) => void, id: string): ReactNode;
  /** Draws one link of the list. */
  link(value: Json, index: number, id: string): ReactNode;
  /** What a new item is; absent: only links can be added. */
  readonly fresh?: Json | undefined;
  readonly noun?: string | undefined;
  /** Opens the list of what can be linked as a new item. */
  onAddLink?: ((anchor: HTMLElement) => void) | undefined;
  /** Adds a literal from a list of its own (models). */
  onAddOther?: ((anchor: HTMLElement) => void) | undefined;
}

/** The list with one item moved; the same list when there is nothing to do. */
export function movedItem(list: readonly Json[], from: number, to: number): readonly Json[] {
  if (from === to || from < 0 || to < 0 || from >= list.length || to >= list.length) return list;
  const next = [...list];
  const [item] = next.splice(from, 1);
  if (item !== undefined) next.splice(to, 0, item);
  return next;
}

export function ListField(props: ListProps) {
  const standing = props.value === undefined ? props.fallback : props.value;
  const list: readonly Json[] = isList(standing) ? standing : standing === undefined || standing === null ? [] : [standing];
  const box = useRef<HTMLDivElement>(null);
  const [dragged, setDragged] = useState<number | null>(null);
  const [over, setOver] = useState<number | null>(null);
  const noun = props.noun ?? "item";

  const put = (next: readonly Json[]) => props.onChange(next, { final: true });
  const focusRow = (index: number) =>
    requestAnimationFrame(() => {
      const row = box.current?.querySelectorAll<HTMLElement>(".list__row")[index];
      (row?.querySelector<HTMLElement>("input, textarea, button, [tabindex]") ?? row)?.focus();
    });
  const move = (from: number, to: number) => {
    const next = movedItem(list, from, to);
    if (next === list) return;
    put(next);
    focusRow(to);
  };
  const remove = (index: number) => {
    put(list.filter((_, at) => at !== index));
    focusRow(Math.max(0, Math.min(index, list.length - 2)));
  };
  const add = () => {
    if (props.fresh === undefined) return;
    put([...list, props.fresh]);
    focusRow(list.length);
  };

  const onRowKey = (event: KeyboardEvent, index: number) => {
    if (event.altKey && (event.key === "ArrowUp" || event.key === "ArrowDown") && !event.shiftKey && !(event.target instanceof Element && event.target.matches("[role=spinbutton]"))) {
      event.preventDefault();
      event.stopPropagation();
      move(index, index + (event.key === "ArrowUp" ? -1 : 1));
    } else if (event.key === "Delete" && !(event.target instanceof Element && event.target.matches("input, textarea"))) {
      event.preventDefault();
      event.stopPropagation();
      remove(index);
    }
  };
  const onDrop = (event: DragEvent, index: number) => {
    event.preventDefault();
    if (dragged !== null) move(dragged, index);
    setDragged(null);
    setOver(null);
  };

  return (
    <div ref={box} className={classes("list", props.invalid && "list--failed")} role="group" aria-label={props.label} aria-describedby={props.describedBy} id={props.id} onKeyDown={(event) => fieldKey(event, props)}>
      {list.map((value, index) => (
        <div
          key={index}
          className={classes("list__row", over === index && dragged !== null && "list__row--over")}
          onKeyDown={(event) => onRowKey(event, index)}
          onDragOver={(event) => {
            if (dragged === null) return;
            event.preventDefault();
            setOver(index);
          }}
          onDrop={(event) => onDrop(event, index)}
        >
          <div className="list__value">
            {isLink(value)
              ? props.link(value, index, `${props.id}-${index}`)
              : props.item(value, index, (next) => put(list.map((item, at) => (at === index ? next : item))), `${props.id}-${index}`)}
          </div>
          {list.length > 1 && (
            <button
              type="button"
              className="reset list__handle nodrag"
              draggable
              aria-label={`Move ${noun} ${index + 1} of ${props.label}: Alt with arrows up and down`}
              onDragStart={(event) => {
                event.dataTransfer.effectAllowed = "move";
                event.dataTransfer.setData("text/plain", "");
                setDragged(index);
              }}
              onDragEnd={() => {
                setDragged(null);
                setOver(null);
              }}
              onKeyDown={(event) => {
                if (event.key !== "ArrowUp" && event.key !== "ArrowDown") return;
                event.preventDefault();
                event.stopPropagation();
                move(index, index + (event.key === "ArrowUp" ? -1 : 1));
              }}
            >
              <Icon name="drag" small />
            </button>
          )}
          <button type="button" className="reset" aria-label={`Remove ${noun} ${index + 1} of ${props.label}`} onClick={() => remove(index)}>
            <Icon name="close" small />
          </button>
        </div>
      ))}
      <div className="list__add">
        {list.length === 0 && <span className="faint small">none</span>}
        {props.fresh !== undefined && (
          <button type="button" className="button button--plain button--small" onClick={add} aria-label={`Add ${noun} to ${props.label}`}>
            <Icon name="plus" small />
            {noun}
          </button>
        )}
        {props.onAddOther && (
          <button type="button" className="button button--plain button--small" onClick={(event) => props.onAddOther?.(event.currentTarget)} aria-label={`Add ${noun} to ${props.label}`}>
            <Icon name="plus" small />
            {noun}
          </button>
        )}
        {props.onAddLink && (
          <button type="button" className="button button--plain button--small" onClick={(event) => props.onAddLink?.(event.currentTarget)} aria-label={`Add a link to ${props.label}`}>
            <Icon name="plus" small />
            link
          </button>
        )}
      </div>
    </div>
  );
}
