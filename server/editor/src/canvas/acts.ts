/** What the canvas does to the document that is shown: each function is one act, one step of undo. */
import type { Catalogue } from "../catalogue/catalogue";
import { Draft } from "../document/draft";
import { move } from "../document/edits";
import { graphOf } from "../document/graph";
import { isRefusal, type Attempt, type Document, type JsonObject, type Nodes, type Place } from "../document/types";
import { needsPlaces } from "../layout/tidy";
import { useCatalogue } from "../state/catalogue";
import { useNotices } from "../state/notices";
import type { Tab } from "../state/types";
import { placeOf, tabOf, useWorkspace } from "../state/workspace";
import { useScene } from "./sceneStore";

/** What is shown now. */
export interface Here {
  readonly tab: Tab;
  readonly document: Document;
  readonly place: Place;
  readonly nodes: Nodes;
  readonly ui: JsonObject;
  readonly catalogue: Catalogue;
}

/** The tab that is shown, its place and the catalogue; null while there is none. */
export function here(): Here | null {
  const tab = tabOf();
  const { catalogue } = useCatalogue.getState();
  if (tab === undefined || catalogue === null) return null;
  const document = tab.history.document;
  const place = placeOf(tab);
  const { nodes, ui } = graphOf(document, place);
  return { tab, document, place, nodes, ui, catalogue };
}

/** Several edits as one; the first that cannot be done refuses all. */
export function together(label: string, document: Document, steps: readonly ((document: Document) => Attempt)[]): Attempt {
  const draft = new Draft(document);
  for (const step of steps) {
    const attempt = step(draft.document);
    if (isRefusal(attempt)) return attempt;
    for (const operation of attempt.operations) draft.run(operation);
  }
  return draft.edit(label);
}

/** Does an act in what is shown. False where there is nothing, or when it was refused with a sentence. */
export function act(make: (here: Here) => Attempt | null, merge?: string): boolean {
  const now = here();
  if (now === null) return false;
  const attempt = placed(now, make) ?? make(now);
  if (attempt === null) return false;
  return useWorkspace.getState().edit(attempt, merge === undefined ? {} : { merge });
}

/**
 * Cards without a place are laid out when they are shown. An act that writes places writes theirs too, so that what the reader
 * saw stays as it was. Null where nothing is to be added.
 */
function placed(now: Here, make: (here: Here) => Attempt | null): Attempt | null {
  const missing = needsPlaces(now.document, now.place);
  if (missing.length === 0) return null;
  const attempt = make(now);
  if (attempt === null || isRefusal(attempt) || !attempt.operations.some(({ path }) => path[0] === "ui")) return attempt;
  const { boxes, tab, place } = useScene.getState();
  if (tab !== now.tab.id || place !== now.place) return attempt;
  const points = new Map(missing.flatMap((id) => {
    const box = boxes.get(id);
    return box === undefined ? [] : [[id, { x: box.x, y: box.y }] as const];
  }));
  return together(attempt.label, now.document, [
    (document) => move(document, now.place, points),
    (document) => {
      const { nodes, ui } = graphOf(document, now.place);
      return make({ ...now, document, nodes, ui }) ?? { label: attempt.label, operations: [] };
    },
  ]);
}

/** Says a line to the status bar and the screen reader. */
export function tell(text: string): void {
  useNotices.getState().tell(text);
}
