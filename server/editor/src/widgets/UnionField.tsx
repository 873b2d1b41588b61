/** Inputs that take values of several kinds: the kind stands before the value and can be changed. */
import type { ReactNode } from "react";
import type { Json } from "../document/types";
import { JsonNumber } from "../document/numbers";
import { isList } from "../document/objects";
import { numberJson, numberText } from "./values";
import type { FieldProps } from "./field";

export type Sort = "str" | "int" | "float" | "bool" | "list[str]";

export const SORT_WORDS: { readonly [sort in Sort]: string } = { str: "text", int: "whole", float: "number", bool: "switch", "list[str]": "texts" };

/** What kind a value is of; null for none. */
export function sortOf(value: Json | undefined): Sort | null {
  if (typeof value === "string") return "str";
  if (typeof value === "boolean") return "bool";
  if (value instanceof JsonNumber) return value.float ? "float" : "int";
  if (typeof value === "number") return Number.isSafeInteger(value) ? "int" : "float";
  return isList(value) ? "list[str]" : null;
}

/** The value as one of another kind, with as much of it as can be kept. */
export function toSort(value: Json | undefined, sort: Sort): Json {
  const from = sortOf(value);
  if (from === sort && value !== undefined) return value;
  const text = typeof value === "string" ? value : (numberText(value) ?? (value === true ? "true" : value === false ? "false" : isList(value) ? String(value[0] ?? "") : ""));
  if (sort === "str") return text;
  if (sort === "bool") return text === "true" || text === "on" || (numberText(value) !== null && Number(text) !== 0);
  if (sort === "list[str]") return text === "" ? [] : [text];
  const number = text === "true" ? 1 : Number(text.replace(",", "."));
  const finite = text !== "" && Number.isFinite(number) ? number : 0;
  return sort === "int" ? numberJson(/^-?\d+$/.test(text) ? text : String(Math.trunc(finite)), true) : numberJson(String(finite), false);
}

export function UnionField({ sorts, render, ...props }: FieldProps & { readonly sorts: readonly Sort[]; render(sort: Sort): ReactNode }) {
  const standing = props.value === undefined ? props.fallback : props.value;
  const found = sortOf(standing);
  const sort = found && sorts.includes(found) ? found : found === "int" && sorts.includes("float") ? "float" : (sorts[0] ?? "str");
  return (
    <div className="union">
      <select
        className="union__sort"
        aria-label={`Kind of ${props.label}`}
        value={sort}
        disabled={props.readOnly}
        onChange={(event) => {
          const next = sorts.find((item) => item === event.currentTarget.value);
          if (next) props.onChange(toSort(standing, next), { final: true });
        }}
      >
        {sorts.map((item) => (
          <option key={item} value={item}>
            {SORT_WORDS[item]}
          </option>
        ))}
      </select>
      <div className="union__value">{render(sort)}</div>
    </div>
  );
}
