/** Making a definition and taking one apart: a part of the page that comes later. */
import { makeDefinition } from "../document/make";
import { freshDefinitionName } from "../document/names";
import { isRefusal } from "../document/types";
import { unpack } from "../document/unpack";
import { useWorkspace } from "../state/workspace";
import { act, tell } from "./acts";
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
