/** Dragging cards: positions live in React Flow until the drop, which is one edit. */
import type { Node } from "@xyflow/react";
import { useCallback, useMemo, useRef, useState } from "react";
import { act, tell } from "./acts";
import { useCanvas } from "./canvasStore";
import { rare } from "./rare";
import { dropMoved, insertInto, takeOutOf } from "./nodeActs";
import { parted } from "./ids";
import { modelOf } from "./sceneModels";
import { useScene } from "./sceneStore";
import { shake, type Shake } from "./shake";

export type Points = ReadonlyMap<string, { readonly x: number; readonly y: number }>;

const NONE: Points = new Map();

interface Drag {
  readonly started: Points;
  readonly shake: Shake;
  shaken: boolean;
}

/** Positions of the drag that is not over, and the handlers that keep them. */
export function useDrags() {
  const [dragged, setDragged] = useState<Points>(NONE);
  const drag = useRef<Drag | null>(null);
  const latest = useRef<Points>(NONE);
  const set = useCanvas((state) => state.set);

  const start = useCallback((_: unknown, _node: Node, nodes: readonly Node[]) => {
    drag.current = { started: new Map(nodes.map((node) => [node.id, node.position])), shake: shake(), shaken: false };
  }, []);

  const move = useCallback((event: MouseEvent | TouchEvent | React.MouseEvent, node: Node, nodes: readonly Node[]) => {
    const now = drag.current;
    if (now === null) return;
    const points = new Map(nodes.map((one) => [one.id, { x: one.position.x, y: one.position.y }]));
    for (const [id, point] of withMembers(points, now.started)) points.set(id, point);
    latest.current = points;
    setDragged(points);
    const { kind } = parted(node.id);
    if (kind !== "node" || nodes.length !== 1 || !("clientX" in event)) return;
    if (!now.shaken && now.shake.move(event.clientX, event.timeStamp)) {
      now.shaken = takeOutOf(node.id);
      if (now.shaken) tell(`${node.id} taken out`);
    }
    const into = now.shaken ? null : threadUnder(event.clientX, event.clientY, node.id);
    if (into !== useCanvas.getState().insertInto) set({ insertInto: into });
  }, [set]);

  const stop = useCallback((event: MouseEvent | TouchEvent | React.MouseEvent, node: Node) => {
    const now = drag.current;
    const points = latest.current;
    const into = useCanvas.getState().insertInto;
    drag.current = null;
    latest.current = NONE;
    if (into !== null) set({ insertInto: null });
    if (now !== null && points.size > 0) {
      if (event.altKey) rare(({ copyTo }) => copyTo(points, now.started, event.shiftKey));
      else if (into !== null) insertInto(into, node.id, points);
      else act((here) => dropMoved(here, points));
    }
    setDragged(NONE);
  }, [set]);

  return useMemo(() => ({ dragged, start, move, stop }), [dragged, start, move, stop]);
}

/** A group that moves takes its members along. */
function withMembers(points: Points, started: Points): [string, { x: number; y: number }][] {
  const { boxes, members } = useScene.getState();
  const found: [string, { x: number; y: number }][] = [];
  for (const [id, point] of points) {
    const group = parted(id);
    const from = started.get(id);
    if (group.kind !== "group" || from === undefined) continue;
    for (const [node, of] of members) {
      const box = boxes.get(node);
      if (of !== group.id || points.has(node) || box === undefined) continue;
      found.push([node, { x: box.x + point.x - from.x, y: box.y + point.y - from.y }]);
    }
  }
  return found;
}

/** The thread that a card, not yet linked, is held over. */
function threadUnder(x: number, y: number, node: string): string | null {
  const model = modelOf(node);
  if (model === null || model.rows.some((row) => row.port?.linked === true || row.out?.linked === true)) return null;
  for (const element of document.elementsFromPoint(x, y)) {
    const id = element.closest<HTMLElement>(".react-flow__edge")?.dataset["id"];
    if (id !== undefined) return id;
  }
  return null;
}
