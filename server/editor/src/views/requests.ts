/** What other parts ask the frame to show: help of a type, and the log of a node that failed. */
import { own } from "../document/objects";
import { laterActs } from "../marks/later";
import { placeOf, nodesAt, tabOf } from "../state/workspace";

const dialogs = laterActs(() => import("./dialogs"));

/** What a help is asked about. */
export interface HelpOf {
  readonly type: string;
  readonly input?: string;
}

/** The node type (and its input) that an element is about; null where it is about none. */
export function helpOf(element: Element | null): HelpOf | null {
  const tab = tabOf();
  if (!tab) return null;
  const widget = element?.closest<HTMLElement>("[data-input]");
  const nodes = nodesAt(tab.history.document, placeOf(tab));
  const near = widget?.dataset["node"] ?? element?.closest<HTMLElement>("[data-card]")?.dataset["card"];
  const onGraph = element === null || element === document.body || element.closest("[data-scope~=canvas], [data-scope~=inspector], [data-scope~=outline]") !== null;
  const chosen = tab.selected.size === 1 ? [...tab.selected][0] : undefined;
  const id = near ?? (onGraph ? (chosen ?? tab.focus ?? undefined) : undefined);
  // The app view's fields are of the root, wherever the graph is.
  const spec = id === undefined ? undefined : (own(nodes, id) ?? own(tab.history.document.nodes, id));
  if (!spec) return null;
  const input = widget?.dataset["input"];
  return { type: spec.type, ...(input !== undefined && { input }) };
}

/** F1: help of the thing in focus; where that is nothing in particular, all keys. */
export function helpHere(): void {
  const about = helpOf(document.activeElement);
  dialogs(({ openHelp, openKeySheet }) => (about ? openHelp(about) : openKeySheet()));
}

const field = (detail: unknown, name: string): string => {
  const value = typeof detail === "object" && detail !== null && Object.hasOwn(detail, name) ? (detail as Record<string, unknown>)[name] : "";
  return typeof value === "string" ? value : "";
};

/** Listens until it is called. */
export function listenToRequests(): () => void {
  const help = (event: Event) => {
    const type = event instanceof CustomEvent ? field(event.detail, "type") : "";
    if (type) dialogs(({ openHelp }) => openHelp({ type }));
  };
  const log = (event: Event) => {
    if (!(event instanceof CustomEvent)) return;
    const about = { job: field(event.detail, "job"), node: field(event.detail, "node"), text: field(event.detail, "text") };
    dialogs(({ openLog }) => openLog(about));
  };
  window.addEventListener("weft:help", help);
  window.addEventListener("weft:log", log);
  return () => {
    window.removeEventListener("weft:help", help);
    window.removeEventListener("weft:log", log);
  };
}
