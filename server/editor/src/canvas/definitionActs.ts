/** Acts on definitions: make, unpack, and the signature, which the cards at the edges show. */
import { exposeInput, exposeOutput, freshDefinitionName, makeDefinition, removeExposed, renameExposed, unpack } from "../document/definitions";
import { canPin } from "../catalogue/pins";
import { inputsOf } from "../document/graph";
import { entriesOf, has } from "../document/objects";
import { isRefusal } from "../document/types";
import { useWorkspace } from "../state/workspace";
import { act, here, tell } from "./acts";
import { useCanvas, type ChoiceState } from "./canvasStore";
import { targets } from "./nodeActs";
import { focusCard } from "./sceneStore";

/** Makes the chosen nodes one definition, and goes to its use. */
export function defineChosen(): boolean {
  let use: string | null = null;
  const done = act(({ document, place, catalogue }) => {
    const made = makeDefinition(document, place, targets(), freshDefinitionName(document, "part"), catalogue);
    if (!isRefusal(made)) use = made.id;
    return made;
  });
  if (!done || use === null) return done;
  const id: string = use;
  useWorkspace.getState().select([id], id);
  requestAnimationFrame(() => focusCard(id));
  tell(`made ${id}; F2 renames it, Alt+Down enters it`);
  return true;
}

/** Puts the nodes of a use back into the graph. */
export function unpackChosen(id: string | undefined = targets()[0]): boolean {
  return id !== undefined && act(({ document, place }) => unpack(document, place, id));
}

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
