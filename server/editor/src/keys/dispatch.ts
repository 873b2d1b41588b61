/** Brings what is pressed to the commands. */
import { commandFor, type Place } from "./commands";

/** Where an element is: the scopes around it, and whether text is typed there. */
export function placeOfElement(target: EventTarget | null): Place {
  const scopes: string[] = [];
  let typing = false;
  if (target instanceof Element) {
    const type = target instanceof HTMLInputElement ? target.type : "";
    typing =
      (target instanceof HTMLInputElement && !["checkbox", "radio", "button", "range"].includes(type)) ||
      target instanceof HTMLTextAreaElement ||
      target instanceof HTMLSelectElement ||
      (target instanceof HTMLElement && target.isContentEditable);
    for (let at: Element | null = target; at; at = at.parentElement) {
      const scope = at.getAttribute("data-scope");
      if (scope) scopes.push(...scope.split(" "));
    }
    // Nothing has the focus: keys go to the canvas, or to the app view where that is shown.
    if (target === document.body) scopes.push(document.querySelector(".app--view") ? "app" : "canvas");
  }
  const dialog = target instanceof Element && target.closest("dialog, [role=dialog]") !== null;
  return { scopes, typing, dialog };
}

/** Enter and Space on a button are the button's own, wherever it stands. */
function isPressed(event: KeyboardEvent): boolean {
  if (event.ctrlKey || event.metaKey || event.altKey || !(event.target instanceof Element)) return false;
  return event.target.closest("button, a[href], summary, [role=switch], [role=radio], [role=checkbox]") !== null;
}

/** Listens until it is called. What a part has taken for itself (`preventDefault`) is its own. */
export function listenToKeys(window: Window = globalThis.window): () => void {
  const listener = (event: KeyboardEvent) => {
    if (event.defaultPrevented || event.isComposing) return;
    if (event.target instanceof Element && event.target.closest("[role=dialog]") && event.key !== "F1") return;
    if ((event.key === "Enter" || event.key === " ") && isPressed(event)) return;
    const command = commandFor(event, placeOfElement(event.target));
    if (!command) return;
    event.preventDefault();
    command.run();
  };
  window.addEventListener("keydown", listener);
  return () => window.removeEventListener("keydown", listener);
}
