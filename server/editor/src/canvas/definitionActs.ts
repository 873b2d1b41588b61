/** Acts on the signature of a definition, which the cards at the edges show. */
import { exposeInput, exposeOutput, removeExposed, renameExposed } from "../document/exposed";
import { canPin } from "../catalogue/pins";
import { inputsOf } from "../document/graph";
import { entriesOf, has } from "../document/objects";
import { isRefusal } from "../document/types";
import { act, here } from "./acts";
import { useCanvas, type ChoiceState } from "./canvasStore";

export function renameExposedRow(kind: "input" | "output", name: string, next: string): string | null {
  const now = here();
  if (now === null || now.place === null) return null;
  const attempt = renameExposed(now.document, now.place, kind, name, next.trim());
  if (isRefusal(attempt)) return attempt.refused;
  act(() => attempt);
  return null;
}

export function removeExposedRow(kind: "input" | "output", name: string): void {
  act(({ document, place }) => (place === null ? null : removeExposed(document, place, kind, name)));
}

/** Asks which free input, or which output, of the inside is to be the definition's. */
export function addExposed(kind: "input" | "output"): void {
  const now = here();
  if (now === null || now.place === null) return;
  const { document, place, nodes, catalogue } = now;
  const options: ChoiceState["options"][number][] = [];
  for (const [id, spec] of entriesOf(nodes)) {
    const type = catalogue.typeOf(document, spec);
    if (kind === "output") {
      for (const output of type?.outputs ?? []) options.push({ label: `${id}.${output.name}`, aside: output.type, type: output.type, run: () => void act((at) => (at.place === null ? null : exposeOutput(at.document, at.place, { node: id, output: output.name }))) });
      continue;
    }
    const inputs = [...(type?.inputs ?? [])].sort((a, b) => Number(canPin(a)) - Number(canPin(b)));
    for (const input of inputs) {
      const value = inputsOf(spec)[input.name];
      if (has(inputsOf(spec), input.name) && typeof value === "object" && value !== null) continue;
      options.push({ label: `${id}.${input.name}`, aside: input.type.length > 24 ? "a choice" : input.type, type: input.type, run: () => void act((at) => (at.place === null ? null : exposeInput(at.document, at.place, id, input.name))) });
    }
  }
  const card = window.document.querySelector(kind === "input" ? '[data-card="#inputs"]' : '[data-card="#outputs"]')?.getBoundingClientRect();
  useCanvas.getState().set({ choice: { screen: { x: card?.right ?? 200, y: card?.top ?? 200 }, title: kind === "input" ? `${place} takes` : `${place} gives`, options } });
}
