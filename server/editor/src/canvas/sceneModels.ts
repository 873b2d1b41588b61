/** The cards that are shown now, by node, for handlers that start from a place on the page. */
import type { End } from "./canvasStore";
import { inputOfHandle, INPUTS_CARD, OUTPUTS_CARD } from "./ids";
import type { CardModel } from "./model";
import type { EdgeRow } from "./EdgeCard";

interface Models {
  readonly cards: ReadonlyMap<string, CardModel>;
  readonly inputs: readonly EdgeRow[];
  readonly outputs: readonly EdgeRow[];
}

let shown: Models = { cards: new Map(), inputs: [], outputs: [] };

/** Says what is shown; called by the canvas when it has made its scene. */
export function showModels(models: Models): void {
  shown = models;
}

/** The card of a node; null when it is none. */
export function modelOf(node: string): CardModel | null {
  return shown.cards.get(node) ?? null;
}

/** All cards that are shown. */
export function models(): Iterable<CardModel> {
  return shown.cards.values();
}

/** One end of a wire from a node and its handle. */
export function endOf(node: string, handle: string, side: "in" | "out"): End | null {
  if (node === INPUTS_CARD || node === OUTPUTS_CARD) {
    const rows = node === INPUTS_CARD ? shown.inputs : shown.outputs;
    const row = rows.find((one) => one.name === handle);
    return row === undefined ? null : { node, port: handle, index: null, side, type: row.type };
  }
  const model = shown.cards.get(node);
  if (model === undefined) return null;
  if (side === "out") {
    const out = model.rows.find((row) => row.out?.name === handle)?.out;
    return out == null ? null : { node, port: handle, index: null, side, type: out.type };
  }
  const port = model.rows.find((row) => row.port?.handle === handle)?.port;
  return port == null ? null : { node, port: inputOfHandle(handle).input, index: port.index, side, type: port.type };
}
