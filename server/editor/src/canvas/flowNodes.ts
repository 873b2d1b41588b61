/** React Flow's nodes from the scene: an object that has not changed is the same object, so that one edit renders one card. */
import { Position, type Node, type NodeHandle } from "@xyflow/react";
import type { CardNodeType } from "./CardNode";
import type { EdgeNodeType } from "./EdgeCard";
import type { GroupNodeType } from "./GroupNode";
import { canvasId } from "./ids";
import type { CardModel } from "./model";
import type { NoteNodeType } from "./NoteNode";
import type { RerouteNodeType } from "./RerouteNode";

export type FlowNode = CardNodeType | EdgeNodeType | GroupNodeType | NoteNodeType | RerouteNodeType;

/** What is drawn at a place; `x` and `y` are those of the document, or of the layout. */
export interface Standing<Data> {
  readonly id: string;
  readonly type: FlowNode["type"];
  readonly x: number;
  readonly y: number;
  readonly width: number;
  readonly height: number;
  readonly z: number;
  readonly data: Data;
  readonly handles: NodeHandle[];
}

/** Where threads end on a card, for React Flow to know before the card is on the page. */
export function handlesOf(model: CardModel): NodeHandle[] {
  const handles: NodeHandle[] = [];
  for (const row of model.rows) {
    if (row.port !== null) handles.push({ id: row.port.handle, type: "target", position: Position.Left, x: -1, y: row.y - 0.5, width: 1, height: 1 });
    if (row.out !== null) handles.push({ id: row.out.name, type: "source", position: Position.Right, x: model.width, y: row.y - 0.5, width: 1, height: 1 });
  }
  // Collapsed: the others lie where the first does.
  const y = (model.rows[0]?.y ?? 0) - 0.5;
  for (const port of model.folded) handles.push({ id: port.handle, type: "target", position: Position.Left, x: -1, y, width: 1, height: 1 });
  for (const out of model.foldedOut) handles.push({ id: out.name, type: "source", position: Position.Right, x: model.width, y, width: 1, height: 1 });
  return handles;
}

/** Whether two lists have the same objects: React Flow reads a new list as a whole. */
export function sameItems<Item>(a: readonly Item[], b: readonly Item[]): boolean {
  return a.length === b.length && a.every((item, at) => item === b[at]);
}

interface Kept {
  readonly standing: Standing<unknown>;
  readonly x: number;
  readonly y: number;
  readonly chosen: boolean;
  readonly node: FlowNode;
}

/** Keeps nodes from one render to the next. */
export class NodeKeeper {
  private kept = new Map<string, Kept>();
  private list: FlowNode[] = [];

  /** The nodes, those that did not change as they were. `dragged` has positions of a drag that is not over. */
  nodes(standings: readonly Standing<Record<string, unknown>>[], chosen: ReadonlySet<string>, dragged: ReadonlyMap<string, { x: number; y: number }>): FlowNode[] {
    const next = new Map<string, Kept>();
    const nodes = standings.map((standing) => {
      const at = dragged.get(standing.id) ?? standing;
      const isChosen = chosen.has(standing.id);
      const last = this.kept.get(standing.id);
      if (last !== undefined && last.standing === standing && last.x === at.x && last.y === at.y && last.chosen === isChosen) {
        next.set(standing.id, last);
        return last.node;
      }
      const node = nodeOf(standing, at.x, at.y, isChosen);
      next.set(standing.id, { standing, x: at.x, y: at.y, chosen: isChosen, node });
      return node;
    });
    this.kept = next;
    if (!sameItems(this.list, nodes)) this.list = nodes;
    return this.list;
  }
}

function nodeOf(standing: Standing<Record<string, unknown>>, x: number, y: number, selected: boolean): FlowNode {
  const { id, type, width, height, z, data, handles } = standing;
  const node: Node = {
    id, data, selected, handles, width, height,
    position: { x, y },
    measured: { width, height },
    zIndex: z,
    focusable: false,
    // The card inside is what has a role and a name.
    domAttributes: { "aria-roledescription": undefined, "aria-describedby": undefined },
  };
  if (type !== undefined) node.type = type;
  if (type === "group") node.dragHandle = ".group";
  return node as FlowNode;
}

export { canvasId };
