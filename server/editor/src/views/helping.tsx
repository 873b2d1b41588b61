/** `F1`: the help of the node in focus, or of a type that the palette points at. Its page comes when it is asked for. */
import type { NodeType } from "../catalogue/types";
import { later } from "../marks/later";
import { useCatalogue } from "../state/catalogue";
import { nodesAt, placeOf, tabOf } from "../state/workspace";
import { own } from "../document/objects";
import { openDialog } from "./Dialog";

const NodeHelp = later(async () => (await import("./Help")).NodeHelp);

function show(type: NodeType): void {
  openDialog({ title: type.name, wide: true, body: () => <NodeHelp type={type} /> });
}

/** Opens the help of the node in focus or chosen; false where there is none. */
export function helpOfFocus(): boolean {
  const tab = tabOf();
  const { catalogue } = useCatalogue.getState();
  if (!tab || !catalogue) return false;
  const document = tab.history.document;
  const [chosen] = tab.selected;
  const id = chosen ?? tab.focus;
  const spec = id == null ? undefined : own(nodesAt(document, placeOf(tab)), id);
  const type = spec && catalogue.typeOf(document, spec);
  if (type) show(type);
  return type !== undefined;
}

/** Opens the help of a type by its name, when the palette asks for it. */
export function listenForHelp(): void {
  window.addEventListener("weft:help", (event) => {
    const name: unknown = event instanceof CustomEvent ? (event.detail as { type?: unknown } | null)?.type : undefined;
    const tab = tabOf();
    const { catalogue } = useCatalogue.getState();
    const type = tab && catalogue && typeof name === "string" ? catalogue.typesFor(tab.history.document, placeOf(tab)).find((one) => one.name === name) : undefined;
    if (type) show(type);
  });
}
