import { useCallback, useEffect, useRef, type KeyboardEvent } from "react";
import { closeFloating } from "./canvasStore";
import { watchClipboard } from "./clipboardEvents";
import { commands, tabTo } from "./commands";
import { keyTexts } from "./keyText";

/** Whether the canvas reads its keys by itself: until a registry of commands does it for all parts. */
let own = true;

/** The registry of commands takes the canvas's keys over, so that readers can change them. */
export function leaveKeysToRegistry(): void {
  own = false;
}

/** Keys while the canvas has the focus. Tab is the browser's; only a node that is not on the page is brought there first. */
export function useCanvasKeys() {
  const shift = useRef(false);
  useEffect(() => {
    const read = (event: globalThis.KeyboardEvent): void => {
      shift.current = event.shiftKey;
    };
    document.addEventListener("keydown", read, true);
    const end = watchClipboard(() => shift.current);
    return () => {
      document.removeEventListener("keydown", read, true);
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
    // A button in a card keeps its own keys.
    if ((event.key === "Enter" || event.key === " ") && event.target.closest("button, a, [role=slider], [role=switch]") !== null) return;
    if (!own) return;
    for (const text of keyTexts(event)) {
      const found = commands.find((command) => command.keys.includes(text) && command.when?.() !== false);
      if (found === undefined) continue;
      event.preventDefault();
      event.stopPropagation();
      found.run();
      return;
    }
  }, []);
}
