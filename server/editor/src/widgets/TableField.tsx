/** Numbers by name: `{"circle": 0.5}`; each a row with its name and its number. */
import { useRef, useState } from "react";
import { entriesOf, isObject, objectOf } from "../document/objects";
import type { Json, JsonObject } from "../document/types";
import { Icon } from "../marks";
import { classes, fieldKey, type FieldProps } from "./field";
import { NumberField } from "./NumberField";
import { numberJson } from "./values";

const RULES = { whole: false, optional: false, range: null, gauge: null } as const;

/** The table with a name changed; null when the name is taken by another row. */
export function renamedKey(table: JsonObject, from: string, to: string): JsonObject | null {
  if (from === to) return table;
  const entries = entriesOf(table);
  if (entries.some(([key]) => key === to)) return null;
  return objectOf(entries.map(([key, value]) => [key === from ? to : key, value] as const));
}

/** A name for a new row. */
export function freshKey(table: JsonObject): string {
  const taken = new Set(entriesOf(table).map(([key]) => key));
  for (let number = 0; ; number += 1) {
    const key = String(number);
    if (!taken.has(key)) return key;
  }
}

export function TableField(props: FieldProps) {
  const standing = props.value === undefined ? props.fallback : props.value;
  const table: JsonObject = isObject(standing) ? standing : {};
  const rows = entriesOf(table);
  const box = useRef<HTMLDivElement>(null);
  const [clash, setClash] = useState<string | null>(null);
  const put = (entries: Iterable<readonly [string, Json]>, final = true) => props.onChange(objectOf(entries), { final });
  return (
    <div ref={box} id={props.id} className={classes("list", props.invalid && "list--failed")} role="group" aria-label={props.label} aria-describedby={classes(clash !== null && `${props.id}-clash`, props.describedBy) || undefined} onKeyDown={(event) => fieldKey(event, props)}>
      {rows.map(([key, value], index) => (
        <div className="list__row" key={key}>
          <div className="list__value table__row">
            <input
              className="field table__key"
              aria-label={`Name ${index + 1} of ${props.label}`}
              defaultValue={key}
              autoComplete="off"
              spellCheck={false}
              onFocus={() => setClash(null)}
              onBlur={(event) => {
                const next = renamedKey(table, key, event.currentTarget.value);
                if (next === null) {
                  setClash(event.currentTarget.value);
                  event.currentTarget.value = key;
                } else if (next !== table) props.onChange(next, { final: true });
              }}
              onKeyDown={(event) => {
                if (event.key === "Enter") event.currentTarget.blur();
                if (event.key === "Escape") {
                  event.stopPropagation();
                  event.currentTarget.value = key;
                  event.currentTarget.blur();
                }
              }}
            />
            <NumberField
              {...props}
              size="panel"
              id={`${props.id}-${index}`}
              label={`${props.label}, ${key}`}
              value={value}
              fallback={undefined}
              was={undefined}
              rules={RULES}
              onChange={(next, how) => put(rows.map(([name, old]) => [name, name === key ? (next ?? 0) : old]), how.final)}
            />
          </div>
          <button type="button" className="reset" aria-label={`Remove ${key} from ${props.label}`} onClick={() => put(rows.filter(([name]) => name !== key))}>
            <Icon name="close" small />
          </button>
        </div>
      ))}
      {clash !== null && (
        <p id={`${props.id}-clash`} className="field__typo small" role="status">
          There is a row “{clash}” already.
        </p>
      )}
      <div className="list__add">
        {rows.length === 0 && <span className="faint small">none</span>}
        <button
          type="button"
          className="button button--plain button--small"
          aria-label={`Add a row to ${props.label}`}
          onClick={() => {
            put([...rows, [freshKey(table), numberJson("1", false)]]);
            requestAnimationFrame(() => [...(box.current?.querySelectorAll<HTMLInputElement>(".table__key") ?? [])].at(-1)?.select());
          }}
        >
          <Icon name="plus" small />
          row
        </button>
      </div>
    </div>
  );
}
