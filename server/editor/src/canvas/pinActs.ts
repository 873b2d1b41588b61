/** Which inputs stand on a card: a list to tick. */
import { canPin, pinnedOn } from "../catalogue/pins";
import { pin } from "../document/edits";
import { own } from "../document/objects";
import { act, here } from "./acts";
import { useCanvas } from "./canvasStore";

/** Shows the inputs of a node that can be fields; choosing one pins it, or takes it off. */
export function pinInputs(node: string): void {
  const now = here();
  const spec = now === null ? undefined : own(now.nodes, node);
  if (now === null || spec === undefined) return;
  const pinned = new Set(pinnedOn(now.document, now.place, node, now.catalogue));
  const card = document.querySelector(`[data-card="${CSS.escape(node)}"]`)?.getBoundingClientRect();
  const inputs = (now.catalogue.typeOf(now.document, spec)?.inputs ?? []).filter(canPin);
  useCanvas.getState().set({
    choice: {
      screen: { x: (card?.right ?? 200) + 8, y: card?.top ?? 200 },
      title: `On the card of ${node}`,
      options: inputs.map((input) => ({
        label: input.name, aside: pinned.has(input.name) ? "on the card" : "", type: input.type,
        run: () => void act(({ document: workflow, place }) => pin(workflow, place, node, input.name, !pinned.has(input.name))),
      })),
    },
  });
}
