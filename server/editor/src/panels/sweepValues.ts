/** The values of a sweep as they are typed: "4 to 13", "0 to 1 step 0.25", "1, 2, 5", a text a line. */
import type { Json } from "../document/types";
import { jsonNumber } from "../document/numbers";
import type { Axis } from "../state/sweeps";
import type { InputType } from "../catalogue/types";

export type Values = { readonly values: readonly Json[] } | { readonly problem: string };

const NUMBER = String.raw`[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?`;
const RANGE = new RegExp(String.raw`^\s*(${NUMBER})\s*(?:to|\.\.|–|…)\s*(${NUMBER})(?:\s*(?:step|by)\s*(${NUMBER}))?\s*$`);
const MOST = 400;

/** Reads what was typed for an input of a type. */
export function readValues(text: string, type: InputType | undefined): Values {
  const numeric = type === undefined || /\b(int|float)\b/.test(type.type);
  const whole = type !== undefined && /\bint\b/.test(type.type) && !/\bfloat\b/.test(type.type);
  if (text.trim() === "") return { problem: "Values are needed: 4 to 13, or 1, 2, 5." };
  const range = numeric ? RANGE.exec(text) : null;
  if (range) return rangeValues(range, whole);
  const parts = (text.includes("\n") ? text.split("\n") : numeric || isChoice(type) ? text.split(",") : [text]).map((part) => part.trim()).filter((part) => part !== "");
  if (parts.length > MOST) return { problem: `At most ${MOST} values, these are ${parts.length}.` };
  const values: Json[] = [];
  for (const part of parts) {
    if (!numeric) {
      values.push(literal(part, type));
      continue;
    }
    const value = /^[-+.\d]/.test(part) ? jsonNumber(part.replace(/^\+/, ""), whole ? "int" : "float") : null;
    if (value === null && !/\bstr\b/.test(type?.type ?? "")) return { problem: `${part} is no ${whole ? "whole " : ""}number.` };
    values.push(value ?? part);
  }
  return { values };
}

function isChoice(type: InputType | undefined): boolean {
  return type?.choices !== undefined || type?.type === "bool" || /^"/.test(type?.type ?? "");
}

/** A choice that is no text is meant as itself. */
function literal(text: string, type: InputType | undefined): Json {
  if (type?.type === "bool") return text === "true" || text === "on" || text === "yes";
  return type?.choices?.find((choice) => typeof choice !== "string" && String(choice) === text) ?? text;
}

function rangeValues(range: RegExpExecArray, whole: boolean): Values {
  const [low, high] = [Number(range[1]), Number(range[2])];
  const digits = Math.max(...[range[1], range[2], range[3]].map((part) => part?.split(".")[1]?.length ?? 0));
  const step = range[3] === undefined ? (whole || Math.abs(high - low) >= 1 ? 1 : Math.abs(high - low) / 4) : Math.abs(Number(range[3]));
  if (!(step > 0)) return { problem: "The step is more than 0." };
  const count = Math.floor(Math.abs(high - low) / step + 1e-9) + 1;
  if (count > MOST) return { problem: `At most ${MOST} values, these are ${count}.` };
  if (whole && (![low, high].every(Number.isInteger) || !Number.isInteger(step))) return { problem: "Whole numbers only." };
  const sign = high < low ? -1 : 1;
  const values = Array.from({ length: count }, (_, at) => {
    const value = Number((low + sign * step * at).toFixed(Math.max(digits, 6)));
    return jsonNumber(value, whole ? "int" : "float") ?? value;
  });
  return { values };
}

/** "denoise.seed", "sega.scale by denoise.seed". */
export function sweepName(axes: readonly Pick<Axis, "node" | "input">[]): string {
  return axes.map(({ node, input }) => `${node}.${input}`).join(" by ");
}
