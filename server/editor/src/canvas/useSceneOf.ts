/** The scene of what is shown: cards, threads with their ways, places, and React Flow's nodes and edges of it. */
import { useEffect, useMemo, useRef, useState } from "react";
import { edgeSize } from "../layout/sizes";
import { pushed } from "../layout/push";
import { threads as layThreads, type Thread, type ThreadEnds } from "../layout/threads";
import { needsPlaces, tidy } from "../layout/tidy";
import type { Catalogue } from "../catalogue/catalogue";
import { cardUi, graphOf, inputOf, isLink, linkParts, literalOf, targetOf } from "../document/graph";
import { entriesOf, keysOf } from "../document/objects";
import type { Document, Place } from "../document/types";
import type { Problem } from "../service/types";
import { nodeFace } from "../state/board";
import { usePlan } from "../state/plans";
import type { Tab } from "../state/types";
import { placeOf } from "../state/workspace";
import { valueWords } from "../widgets/values";
import type { EdgeRow } from "./EdgeCard";
import { threadId } from "./ids";
import type { CardModel } from "./model";
import type { Box } from "./neighbours";
import { useStates } from "./usePicture";
import { SceneMaker, type ProblemMarks, type Scene, type SceneThread } from "./scene";

export interface EdgeSide {
  readonly rows: readonly EdgeRow[];
  readonly box: Box;
  readonly ports: ReadonlyMap<string, number>;
}

/** What is drawn of a tab: the same object while only what is chosen, the focus or the view changes. */
export interface Drawn {
  readonly document: Document;
  readonly place: Place;
  /** `use/` inside a definition: what stands before a node's id in a run. */
  readonly prefix: string;
  readonly catalogue: Catalogue;
  readonly scene: Scene;
  readonly boxes: ReadonlyMap<string, Box>;
  readonly inputs: EdgeSide | null;
  readonly outputs: EdgeSide | null;
  /** Threads into the card of outputs are the definition's own. */
  readonly threads: readonly SceneThread[];
  readonly ways: ReadonlyMap<string, Thread>;
}

export interface Shown extends Drawn {
  readonly tab: Tab;
  readonly drawn: Drawn;
}

const NONE: readonly Problem[] = [];
const NO_PLACES: ReadonlyMap<string, { x: number; y: number }> = new Map();

/** Everything that is drawn of a tab. */
export function useSceneOf(tab: Tab, catalogue: Catalogue): Shown {
  const document = tab.history.document;
  const place = placeOf(tab);
  const { nodes } = graphOf(document, place);
  const prefix = tab.trail.map((step) => `${step.use}/`).join("");
  const problems = usePlan((state) => state.ofTab.get(tab.id)?.problems ?? NONE);
  const marks = useMemo(() => marksOf(problems, prefix), [problems, prefix]);
  const maker = useRef(new SceneMaker());
  const version = useStates(tab.id);
  // A card has a picture's place once there is one; as a text, so that only another set of them makes another scene.
  const pictured = useMemo(
    () => keysOf(nodes).filter((id) => nodeFace(tab.id, prefix + id).picture !== undefined).join(" "),
    [nodes, tab.id, prefix, version],
  );
  const scene = useMemo(() => {
    const withPicture = new Set(pictured.split(" "));
    return maker.current.make(document, place, nodes, catalogue, marks, (id) => withPicture.has(id));
  }, [document, place, nodes, catalogue, marks, pictured]);
  const laid = usePlaces(document, place, catalogue, `${tab.id} ${place ?? ""}`);
  const { trail } = tab;
  // Choosing, focus and the view are of the tab, too, and must not lay every thread anew.
  const drawn = useMemo(() => {
    const boxes = new Map<string, Box>();
    for (const [id, card] of scene.cards) {
      const ui = cardUi(document, place, id);
      const at = laid.get(id) ?? (scene.cards.size > FEW ? meanwhile(boxes.size) : undefined);
      boxes.set(id, { x: ui.x ?? at?.x ?? 0, y: ui.y ?? at?.y ?? 0, width: card.width, height: card.height });
    }
    // What a message or a picture adds to a card hides nothing below it.
    const added = ({ message, picture }: CardModel): number => message + (picture > 0 ? picture + 8 : 0);
    const down = pushed(new Map([...scene.cards].flatMap(([id, card]) => {
      const box = boxes.get(id);
      return box === undefined ? [] : [[id, { ...box, before: box.height - added(card) }] as const];
    })));
    for (const [id, by] of down) {
      const box = boxes.get(id);
      if (box !== undefined) boxes.set(id, { ...box, y: box.y + by });
    }
    const inputs = place === null ? null : edgeSide(document, place, "#inputs", catalogue, boxes, trail, laid);
    const outputs = place === null ? null : edgeSide(document, place, "#outputs", catalogue, boxes, trail, laid);
    const all = outputs === null || place === null ? scene.threads : [...scene.threads, ...outThreads(document, place, catalogue)];
    return { document, place, prefix, catalogue, scene, boxes, inputs, outputs, threads: all, ways: waysOf(scene, all, boxes, inputs, outputs) };
  }, [trail, document, place, prefix, catalogue, scene, laid]);
  return useMemo(() => ({ ...drawn, tab, drawn }), [drawn, tab]);
}

const FEW = 300;

/** Where a card waits for its place: thousands of them on one spot would all be in view, and all be drawn. */
function meanwhile(index: number): { x: number; y: number } {
  return { x: (index % 50) * 260, y: Math.floor(index / 50) * 400 };
}

/** Places of cards that have none in the document, from the layout, which is loaded when it is needed. */
function usePlaces(document: Document, place: Place, catalogue: Catalogue, key: string): ReadonlyMap<string, { x: number; y: number }> {
  const [laid, setLaid] = useState<{ key: string; places: ReadonlyMap<string, { x: number; y: number }> }>({ key, places: NO_PLACES });
  const [tries, setTries] = useState(0);
  const missing = useMemo(() => needsPlaces(document, place).join(" "), [document, place]);
  useEffect(() => {
    if (missing === "" && place === null) return;
    let over = false;
    let timer: ReturnType<typeof setTimeout> | undefined;
    tidy(document, place, catalogue).then(
      (places) => {
        if (!over) setLaid((last) => ({ key, places: last.key === key && last.places.size > 0 ? new Map([...places, ...last.places]) : places }));
      },
      // The layout could not be loaded, as while the server is away: cards stand in rows meanwhile.
      () => void (over || (timer = setTimeout(() => setTries(tries + 1), 2000))),
    );
    return () => {
      over = true;
      clearTimeout(timer);
    };
    // Only a card without a place asks for the layout: an edit must not move those that were laid out.
  }, [missing, key, catalogue, tries]);
  return laid.key === key ? laid.places : NO_PLACES;
}

function marksOf(problems: readonly Problem[], prefix: string): ProblemMarks {
  const bad = new Set<string>();
  const messages = new Map<string, string>();
  for (const { node, input, message } of problems) {
    if (node === null || !node.startsWith(prefix) || node.slice(prefix.length).includes("/")) continue;
    const id = node.slice(prefix.length);
    if (input !== null) bad.add(`${id}.${input}`);
    messages.set(id, messages.has(id) ? `${messages.get(id) ?? ""}\n${message}` : message);
  }
  return { bad, messages };
}

function edgeSide(document: Document, place: string, edge: "#inputs" | "#outputs", catalogue: Catalogue, boxes: ReadonlyMap<string, Box>, trail: Tab["trail"], laid: ReadonlyMap<string, { x: number; y: number }>): EdgeSide {
  const size = edgeSize(document, place, edge);
  const type = catalogue.typeOf(document, place);
  const { definition } = graphOf(document, place);
  const ui = cardUi(document, place, edge);
  const at = laid.get(edge);
  const xs = [...boxes.values()];
  const beside = edge === "#inputs" ? Math.min(0, ...xs.map((box) => box.x)) - size.width - 60 : Math.max(0, ...xs.map((box) => box.x + box.width)) + 60;
  const box = { x: ui.x ?? at?.x ?? beside, y: ui.y ?? at?.y ?? Math.min(0, ...xs.map((one) => one.y)), width: size.width, height: size.height };
  const outer = trail.at(-2)?.definition ?? null;
  const use = trail.at(-1)?.use ?? "";
  const rows: EdgeRow[] = edge === "#inputs"
    ? (type?.inputs ?? []).map((input) => {
      const given = inputOf(document, outer, use, input.name);
      const literal = literalOf(given) ?? (given === undefined ? input.default : undefined);
      return { name: input.name, type: input.type, aside: isLink(given) ? linkParts(given).node : literal === undefined ? "" : valueWords(literal), linked: true };
    })
    : entriesOf(definition?.outputs).map(([name]) => ({ name, type: type?.outputs.find((one) => one.name === name)?.type ?? "any", aside: "", linked: true }));
  return { rows, box, ports: new Map(entriesOf(edge === "#inputs" ? size.ports.out : size.ports.in)) };
}

function outThreads(document: Document, place: string, catalogue: Catalogue): SceneThread[] {
  const { definition } = graphOf(document, place);
  return entriesOf(definition?.outputs).flatMap(([name, output]) => {
    const { node, output: named } = linkParts(output.link);
    const made = catalogue.output(document, place, { node, output: named });
    return [{ id: threadId("#outputs", name), source: node === "inputs" ? "#inputs" : node, output: named ?? made?.name ?? "", target: "#outputs", handle: name, type: made?.type ?? "any", tagged: false }];
  });
}

function waysOf(scene: Scene, all: readonly SceneThread[], boxes: ReadonlyMap<string, Box>, inputs: EdgeSide | null, outputs: EdgeSide | null): Map<string, Thread> {
  const bends = new Map<string, { x: number; y: number }[]>();
  for (const bend of scene.reroutes.values()) {
    const { node, input, index } = targetOf(bend.target);
    const key = threadId(node, index === null ? input : `${input}.${index}`);
    bends.set(key, [...(bends.get(key) ?? []), { x: bend.x, y: bend.y }]);
  }
  const outY = new Map<string, ReadonlyMap<string, number>>();
  const inY = new Map<string, ReadonlyMap<string, number>>();
  for (const [id, card] of scene.cards) {
    const first = card.rows[0]?.y ?? 14;
    outY.set(id, new Map([...card.rows.flatMap((row) => (row.out === null ? [] : [[row.out.name, row.y] as const])), ...card.foldedOut.map((out) => [out.name, first] as const)]));
    inY.set(id, new Map([...card.rows.flatMap((row) => (row.port === null ? [] : [[row.port.handle, row.y] as const])), ...card.folded.map((port) => [port.handle, first] as const)]));
  }
  const sides = (id: string): { box: Box; out: ReadonlyMap<string, number>; in: ReadonlyMap<string, number> } | null => {
    const none = new Map<string, number>();
    if (id === "#inputs") return inputs === null ? null : { box: inputs.box, out: inputs.ports, in: none };
    if (id === "#outputs") return outputs === null ? null : { box: outputs.box, out: none, in: outputs.ports };
    const box = boxes.get(id);
    return box === undefined ? null : { box, out: outY.get(id) ?? none, in: inY.get(id) ?? none };
  };
  const ends: ThreadEnds[] = [];
  for (const thread of all) {
    const source = sides(thread.source), target = sides(thread.target);
    const y = source?.out.get(thread.output), endY = target?.in.get(thread.handle);
    if (source === null || target === null || y === undefined || endY === undefined) continue;
    ends.push({
      id: thread.id, output: `${thread.source}.${thread.output}`,
      from: { x: source.box.x + source.box.width, y: source.box.y + y },
      to: { x: target.box.x, y: target.box.y + endY },
      sourceBox: source.box,
      ...(bends.has(thread.id) ? { bends: bends.get(thread.id) ?? [] } : {}),
    });
  }
  return layThreads(ends, [...boxes.values(), ...(inputs === null ? [] : [inputs.box]), ...(outputs === null ? [] : [outputs.box])]);
}
