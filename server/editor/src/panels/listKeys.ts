/** Up and down through the rows of a list, one of which is a tab stop. */
import type { KeyboardEvent } from "react";

/** Moves the focus to another row (`[data-row]`) of the same list; true where the key was for that. */
export function moveInList(event: KeyboardEvent<HTMLElement>, columns = 1, key: string = event.key): boolean {
  const list = event.currentTarget.closest<HTMLElement>("[data-rows]");
  if (!list) return false;
  const rows = [...list.querySelectorAll<HTMLElement>("[data-row]")];
  const at = rows.findIndex((row) => row.contains(event.target as Node));
  const steps = new Map<string, number>([["ArrowDown", at + columns], ["ArrowUp", at - columns], ["Home", 0], ["End", rows.length - 1]]);
  if (columns > 1) steps.set("ArrowRight", at + 1).set("ArrowLeft", at - 1);
  const next = steps.get(key);
  if (next === undefined) return false;
  event.preventDefault();
  event.stopPropagation();
  rows[Math.max(0, Math.min(rows.length - 1, next))]?.focus();
  return true;
}
