/** React Flow's nodes and edges for what is shown, at the detail that is drawn. */
import { Position, type NodeHandle } from "@xyflow/react";
import { useEffect, useMemo, useRef } from "react";
import { usePlan } from "../state/plans";
import { shownRun } from "../state/runs";
import { nodeFace } from "../state/board";
import { modeOf } from "../document/graph";
import { own } from "../document/objects";
import type { Document, Place } from "../document/types";
import type { Problem } from "../service/types";
import { standsOut, type Block, type BlockThread } from "./blocks";
import type { BlockLabel } from "./BlockLayer";
import { useCanvas } from "./canvasStore";
import { isBlocks, type Detail } from "./detail";
import { familyOf } from "./families";
import { EdgeKeeper } from "./flowEdges";
import { handlesOf, NodeKeeper, type FlowNode, type Standing } from "./flowNodes";
import { showCarried } from "./carries";
import { canvasId, INPUTS_CARD, OUTPUTS_CARD } from "./ids";
import type { CardModel } from "./model";
import { changeNote, nameGroup, sizeGroup } from "./nodeActs";
import type { Scene } from "./scene";
import { showModels } from "./sceneModels";
import { useScene } from "./sceneStore";
import type { ThreadEdgeType } from "./ThreadEdge";
import type { Points } from "./useDrags";
import { useStates } from "./usePicture";
import type { Drawn, EdgeSide, Shown } from "./useSceneOf";

const LOOKS: Readonly<Record<string, "there" | "empty" | "cut">> = { t: "there", c: "cut" };

/** How all nodes stand: those that stand out far away, and a letter for each in the order of the run. */
function statesOf(scene: Scene, tab: string, prefix: string): { stood: string; looks: string } {
  const stood: (readonly [string, string])[] = [];
  let looks = "";
  for (const id of scene.order) {
    const { state } = nodeFace(tab, prefix + id);
    const mark = standsOut(state);
    if (mark !== null) stood.push([id, mark]);
    const spec = own(scene.nodes, id);
    const muted = spec !== undefined && modeOf(spec) === "mute";
    looks += muted || state === "left-out" ? "c" : THERE.has(state) ? "t" : "e";
  }
  return { stood: stood.length === 0 ? "" : JSON.stringify(stood), looks };
}

const THERE: ReadonlySet<string> = new Set(["memory", "disk", "done", "unneeded"]);

type AnyStanding = Standing<Record<string, unknown>>;

const NONE: readonly Problem[] = [];

/** Standings are kept by what they are made of, so that a node that did not change is the same object. */
class StandingKeeper {
  private kept = new Map<string, { parts: readonly unknown[]; standing: AnyStanding }>();
  private next = new Map<string, { parts: readonly unknown[]; standing: AnyStanding }>();

  take(id: string, parts: readonly unknown[], make: () => AnyStanding): AnyStanding {
    const last = this.kept.get(id);
    const same = last !== undefined && last.parts.length === parts.length && last.parts.every((part, at) => part === parts[at]);
    const entry = same ? last : { parts, standing: make() };
    this.next.set(id, entry);
    return entry.standing;
  }

  end(): void {
    this.kept = this.next;
    this.next = new Map();
  }
}

export function useFlow(shown: Shown, dragged: Points, detail: Detail): { nodes: FlowNode[]; edges: ThreadEdgeType[]; labels: BlockLabel[] } {
  const { tab, drawn } = shown;
  const { scene, boxes, prefix } = drawn;
  const standings = useRef(new StandingKeeper());
  const nodeKeeper = useRef(new NodeKeeper());
  const edgeKeeper = useRef(new EdgeKeeper());
  const version = useStates(tab.id);
  const pointed = useCanvas((state) => state.pointedBlock);
  const found = useCanvas((state) => state.found);
  const problems = usePlan((state) => state.ofTab.get(tab.id)?.problems ?? NONE);
  const blocks = isBlocks(detail);

  const all = useMemo(() => {
    const list: AnyStanding[] = [];
    const keeper = standings.current;
    for (const [id, group] of scene.groups) {
      const key = canvasId("group", id);
      list.push(keeper.take(key, [group], () => ({
        id: key, type: "group", x: group.x, y: group.y, width: group.width, height: group.height, z: -2, handles: [],
        data: { name: group.name, count: group.nodes.length, onName: (name: string) => nameGroup(id, name), onSize: (box: { x: number; y: number; width: number; height: number }) => sizeGroup(id, box) },
      })));
    }
    if (drawn.inputs !== null) list.push(edgeStanding(keeper, INPUTS_CARD, drawn.inputs));
    for (const id of scene.order) {
      const model = scene.cards.get(id), box = boxes.get(id);
      if (model === undefined || box === undefined) continue;
      list.push(keeper.take(id, [model, box.x, box.y, tab.id, prefix, shown.place], () => cardStanding(id, model, box.x, box.y, tab.id, prefix, shown.place)));
    }
    if (drawn.outputs !== null) list.push(edgeStanding(keeper, OUTPUTS_CARD, drawn.outputs));
    for (const [id, note] of scene.notes) {
      const key = canvasId("note", id);
      list.push(keeper.take(key, [note.x, note.y, note.width, note.text], () => ({
        id: key, type: "note", x: note.x, y: note.y, width: note.width, height: note.height ?? 18 * Math.max(1, Math.ceil((note.text.length * 6.4) / note.width)) + 4, z: -1, handles: [],
        data: { text: note.text, width: note.width, onText: (text: string) => changeNote(id, { text }), onWidth: (width: number) => changeNote(id, { width }) },
      })));
    }
    const byId = scene.reroutes.size === 0 ? null : new Map(drawn.threads.map((one) => [one.id, one]));
    for (const [id, bend] of scene.reroutes) {
      const key = canvasId("reroute", id);
      const thread = byId?.get(bend.target);
      list.push(keeper.take(key, [bend.x, bend.y, bend.target, thread?.type], () => ({
        id: key, type: "reroute", x: bend.x - 6, y: bend.y - 6, width: 12, height: 12, z: 1, handles: [],
        data: { type: thread?.type ?? "any", of: thread === undefined ? bend.target : `${thread.source}.${thread.output}` },
      })));
    }
    keeper.end();
    return list;
  }, [scene, boxes, drawn, tab.id, prefix]);

  // As texts, so that only another state makes other nodes and threads: a run tells of its steps all the time.
  // `version` grows when plans or runs changed.
  const states = useMemo(() => statesOf(scene, tab.id, prefix), [scene, tab.id, prefix, version]);
  const stood = useMemo(() => new Map(states.stood === "" ? [] : (JSON.parse(states.stood) as [string, "running" | "failed"][])), [states.stood]);
  const looks = useMemo(() => new Map(scene.order.map((id, at) => [id, LOOKS[states.looks.charAt(at)] ?? "empty"])), [scene, states.looks]);

  const nodes = useMemo(() => {
    const few = blocks
      ? all.filter(({ id, type }) => type === "card" || type === "definition" ? id === pointed || tab.focus === id || tab.selected.has(id) || stood.has(id) || found.has(id) || dragged.has(id) : type === "edge")
      : all;
    return nodeKeeper.current.nodes(few, tab.selected, dragged);
  }, [all, blocks, pointed, found, stood, tab.selected, tab.focus, dragged]);

  const reasons = useMemo(() => {
    const map = new Map<string, string>();
    for (const problem of problems) {
      if (problem.node === null || problem.input === null || !["type_mismatch", "unknown_link", "unknown_output", "cycle"].includes(problem.code)) continue;
      if (!problem.node.startsWith(prefix)) continue;
      for (const thread of scene.threads) if (thread.target === problem.node.slice(prefix.length) && (thread.handle === problem.input || thread.handle.startsWith(`${problem.input}.`))) map.set(thread.id, problem.message);
    }
    return map;
  }, [problems, scene, prefix]);

  const edges = useMemo(() => (blocks ? [] : edgeKeeper.current.edges(drawn.threads, {
    ways: drawn.ways,
    chosen: tab.selected,
    lookOf: (source) => (source === INPUTS_CARD ? "there" : (looks.get(source) ?? "empty")),
    reasons,
    known: (id) => boxes.has(id) || (id === INPUTS_CARD && drawn.inputs !== null) || (id === OUTPUTS_CARD && drawn.outputs !== null),
  })), [blocks, drawn, tab.selected, looks, reasons, boxes]);

  useEffect(() => {
    showModels({ cards: scene.cards, inputs: drawn.inputs?.rows ?? [], outputs: drawn.outputs?.rows ?? [] });
    const all: Block[] = [...boxes].map(([id, box]) => ({ id, ...box, family: familyOf(scene.cards.get(id)?.makes ?? "any") }));
    const members = new Map([...scene.groups].flatMap(([group, { nodes: inside }]) => inside.map((node) => [node, group] as const)));
    useScene.setState({
      tab: tab.id, place: drawn.place, prefix, boxes, blocks: all, members, order: scene.order,
      threads: blockThreads(drawn),
      edges: [...(drawn.inputs === null ? [] : [drawn.inputs.box]), ...(drawn.outputs === null ? [] : [drawn.outputs.box])],
      groups: [...scene.groups].map(([id, { name, x, y, width, height }]) => ({ id, name, x, y, width, height })),
    });
  }, [drawn, scene, boxes, prefix, tab.id]);

  useEffect(() => showCarried(tab.id, drawn), [tab.id, drawn]);

  // Once for all cards: each event of a run would ask it of each of them.
  useEffect(() => {
    const ran = shownRun(tab.id)?.document as Document | undefined;
    if (useCanvas.getState().ran !== ran) useCanvas.getState().set({ ran });
  }, [tab.id, version]);

  const labels = useMemo(() => (blocks ? labelsOf(drawn, tab.id, stood, found, detail) : []), [blocks, drawn, tab.id, stood, found, detail]);
  return { nodes, edges, labels };
}

function cardStanding(id: string, model: CardModel, x: number, y: number, tab: string, prefix: string, place: Place): AnyStanding {
  return { id, type: model.definition ? "definition" : "card", x, y, width: model.width, height: model.height, z: 0, handles: handlesOf(model), data: { model, tab, path: prefix + id, place } };
}

function edgeStanding(keeper: StandingKeeper, id: string, side: EdgeSide): AnyStanding {
  const inputs = id === INPUTS_CARD;
  return keeper.take(id, [side.box.x, side.box.y, JSON.stringify(side.rows)], () => ({
    id, type: "edge", ...side.box, z: 0,
    handles: [...side.ports].map<NodeHandle>(([name, y]) => ({ id: name, type: inputs ? "source" : "target", position: inputs ? Position.Right : Position.Left, x: inputs ? side.box.width : -1, y: y - 0.5, width: 1, height: 1 })),
    data: {
      side: inputs ? "inputs" : "outputs", rows: side.rows, width: side.box.width,
    },
  }));
}

function blockThreads(drawn: Drawn): BlockThread[] {
  return drawn.threads.flatMap((thread) => {
    const way = drawn.ways.get(thread.id);
    const from = way?.corners[0], to = way?.corners.at(-1);
    if (way === undefined || from === undefined || to === undefined || thread.tagged) return [];
    return [{ path: way.path, family: familyOf(thread.type), source: thread.source, target: thread.target, from: [from.x, from.y] as const, to: [to.x, to.y] as const }];
  });
}

function labelsOf({ scene, boxes, prefix }: Drawn, tab: string, stood: ReadonlyMap<string, "running" | "failed">, found: ReadonlySet<string>, detail: Detail): BlockLabel[] {
  const labels: BlockLabel[] = [...scene.groups].map(([id, group]) => ({ id, text: group.name, kind: "group", x: group.x, y: group.y }));
  for (const [id, box] of boxes) {
    const kind = stood.get(id) ?? (found.has(id) ? "found" : null);
    if (kind !== null) labels.push({ id, text: `${id} ${nodeFace(tab, prefix + id).words}`, kind, x: box.x + box.width, y: box.y });
    else if (detail === "block") labels.push({ id, text: id, kind: "name", x: box.x, y: box.y });
  }
  return labels;
}
