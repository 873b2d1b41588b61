import { useCallback, useEffect, useRef, type KeyboardEvent } from "react";
import { closeFloating } from "./canvasStore";
import { tabTo } from "./goTo";
import { rare } from "./rare";

/** What the canvas does with keys beside its commands. Tab is the browser's; only a node that is not on the page is brought there first. */
export function useCanvasKeys() {
  const shift = useRef(false);
  useEffect(() => {
    const read = (event: globalThis.KeyboardEvent): void => {
      shift.current = event.shiftKey;
    };
    document.addEventListener("keydown", read, true);
    let over = false;
    let end = (): void => {};
    rare(({ watchClipboard }) => {
      if (!over) end = watchClipboard(() => shift.current);
    });
    return () => {
      document.removeEventListener("keydown", read, true);
      over = true;
      end();
    };
  }, []);
  return useCallback((event: KeyboardEvent) => {
    if (event.defaultPrevented || !(event.target instanceof Element)) return;
    const inField = event.target.closest("input, textarea, select, [contenteditable], [role=dialog], [role=menu], [role=listbox]") !== null;
    if (event.key === "Escape") {
      if (closeFloating()) {
        event.preventDefault();
        return;
      }
      if (inField) {
        event.target.closest<HTMLElement>("[data-card]")?.focus();
        return;
      }
    }
    if (inField) return;
    if (event.key === "Tab" && !event.ctrlKey && !event.altKey) {
      if (event.target.closest("[data-card]") !== null && tabTo(event.shiftKey ? -1 : 1)) event.preventDefault();
      return;
    }
  }, []);
}
