/** React Flow's edges from the scene. Threads of one output follow each other, so that their halos are drawn first. */
import type { Thread } from "../layout/threads";
import { familyOf } from "./families";
import { sameItems } from "./flowNodes";
import type { SceneThread } from "./scene";
import type { ThreadData, ThreadEdgeType } from "./ThreadEdge";

export interface EdgeLooks {
  readonly ways: ReadonlyMap<string, Thread>;
  readonly chosen: ReadonlySet<string>;
  /** How the source stands: its value is there, or it is left out. */
  readonly lookOf: (source: string) => "there" | "empty" | "cut";
  /** Why a thread does not fit, by id. */
  readonly reasons: ReadonlyMap<string, string>;
  /** Things that exist on the canvas: a thread to something else is not drawn. */
  readonly known: (id: string) => boolean;
}

/** Keeps edges from one render to the next. */
export class EdgeKeeper {
  private kept = new Map<string, { key: string; edge: ThreadEdgeType }>();
  private list: ThreadEdgeType[] = [];

  edges(threads: readonly SceneThread[], looks: EdgeLooks): ThreadEdgeType[] {
    const outputs = new Map<string, SceneThread[]>();
    for (const thread of threads) {
      if (!looks.known(thread.source) || !looks.known(thread.target)) continue;
      const key = `${thread.source}.${thread.output}`;
      const list = outputs.get(key);
      if (list === undefined) outputs.set(key, [thread]);
      else list.push(thread);
    }
    const next = new Map<string, { key: string; edge: ThreadEdgeType }>();
    const edges: ThreadEdgeType[] = [];
    const any = looks.chosen.size > 0;
    for (const list of outputs.values()) {
      const ways = list.filter((thread) => !thread.tagged).flatMap((thread) => looks.ways.get(thread.id)?.path ?? []);
      for (const [at, thread] of list.entries()) {
        const way = looks.ways.get(thread.id);
        const near = looks.chosen.has(thread.source) || looks.chosen.has(thread.target);
        const reason = looks.reasons.get(thread.id) ?? null;
        const look = reason !== null ? "bad" : looks.lookOf(thread.source);
        const halos = at === 0 ? ways : [];
        const key = JSON.stringify([way?.path, near, any, look, reason, halos, thread.type, thread.tagged, thread.source, thread.output]);
        const last = this.kept.get(thread.id);
        const edge = last?.key === key ? last.edge : edgeOf(thread, way, { near, far: any && !near, look, reason, halos });
        next.set(thread.id, { key, edge });
        edges.push(edge);
      }
    }
    this.kept = next;
    if (!sameItems(this.list, edges)) this.list = edges;
    return this.list;
  }
}

function edgeOf(thread: SceneThread, way: Thread | undefined, look: Pick<ThreadData, "near" | "far" | "look" | "reason" | "halos">): ThreadEdgeType {
  const first = way?.corners[0], last = way?.corners.at(-1);
  return {
    id: thread.id, type: "thread", source: thread.source, target: thread.target, sourceHandle: thread.output, targetHandle: thread.handle,
    reconnectable: "target", focusable: false, selectable: false,
    data: {
      ...look,
      path: way?.path ?? "",
      ends: [first?.x ?? NaN, first?.y ?? NaN, last?.x ?? NaN, last?.y ?? NaN],
      middle: [way?.middle.x ?? 0, way?.middle.y ?? 0],
      family: familyOf(thread.type),
      tagged: thread.tagged,
      name: `${thread.source === "#inputs" ? "inputs" : thread.source}.${thread.output}`,
    },
  };
}
