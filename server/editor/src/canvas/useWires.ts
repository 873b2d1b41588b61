/** Wires by pointer: connecting, moving, refusing, dropping on a card or on nothing. */
import type { Connection, Edge, FinalConnectionState, IsValidConnection, OnConnectEnd, OnConnectStart, OnReconnect } from "@xyflow/react";
import { useCallback, useMemo, useRef } from "react";
import { here, tell } from "./acts";
import { useCanvas, type End } from "./canvasStore";
import { fitsOf } from "./fitting";
import { inputOfHandle } from "./ids";
import { connectEnds, moveWire, removeWire, whyNot } from "./wireActs";
import { endOf, modelOf } from "./sceneModels";
import { useScene } from "./sceneStore";

const point = (event: MouseEvent | TouchEvent): { x: number; y: number } => {
  const touch = "changedTouches" in event ? event.changedTouches[0] : event;
  return { x: touch?.clientX ?? 0, y: touch?.clientY ?? 0 };
};

const card = (x: number, y: number): string | null => document.elementFromPoint(x, y)?.closest<HTMLElement>("[data-card]")?.dataset["card"] ?? null;

/** Handlers for React Flow. */
export function useWires() {
  const moving = useRef<{ node: string; input: string; index: number | null } | null>(null);
  const set = useCanvas((state) => state.set);

  const isValidConnection: IsValidConnection = useCallback((connection) => {
    const why = whyNotJoin(connection);
    if (useCanvas.getState().refusal !== why) set({ refusal: why });
    return why === null;
  }, [set]);

  const onConnectStart: OnConnectStart = useCallback((event, { nodeId, handleId, handleType }) => {
    if (nodeId === null || handleId === null || handleType === null) return;
    if ("altKey" in event && event.altKey) return;
    set({ connecting: endOf(nodeId, handleId, handleType === "source" ? "out" : "in"), refusal: null });
  }, [set]);

  const onConnect = useCallback((connection: Connection) => {
    const ends = endsOf(connection);
    if (ends !== null) connectEnds(ends.from, ends.to);
  }, []);

  const onReconnectStart = useCallback((_: unknown, edge: Edge) => {
    moving.current = { node: edge.target, ...inputOfHandle(edge.targetHandle ?? "") };
    set({ connecting: endOf(edge.source, edge.sourceHandle ?? "", "out"), refusal: null });
  }, [set]);

  const onReconnect: OnReconnect = useCallback((_, connection) => {
    const from = moving.current;
    moving.current = null;
    if (from === null || connection.targetHandle === null) return;
    const to = { node: connection.target, ...inputOfHandle(connection.targetHandle) };
    if (to.node === from.node && to.input === from.input && to.index === from.index) return;
    moveWire(from, to);
  }, []);

  /** What was dropped on no port: on a card its only port that fits, on nothing the palette. */
  const drop = useCallback((event: MouseEvent | TouchEvent, from: End): void => {
    const screen = point(event);
    const flow = useScene.getState().flow;
    const onCard = card(screen.x, screen.y);
    if (onCard === null) {
      if (flow !== null) set({ palette: { screen, graph: flow.screenToFlowPosition(screen, { snapToGrid: true }), from, wire: null } });
      return;
    }
    const model = modelOf(onCard);
    if (model === null || onCard === from.node) return;
    const handles = [...fitsOf(from, model)];
    const free = handles.filter((handle) => from.side === "in" || model.rows.some((row) => row.port?.handle === handle && (!row.port.linked || row.port.index !== null)));
    // A list takes one more wherever it is touched: its ports are one choice.
    const choices = onePerInput(free.length > 0 ? free : handles);
    const join = (handle: string): void => {
      const other = handle.startsWith(">") ? endOf(onCard, handle.slice(1), "out") : endOf(onCard, handle, "in");
      if (other === null) return;
      if (from.side === "out") connectEnds(from, other);
      else connectEnds(other, from);
    };
    const only = choices[0];
    if (only === undefined) tell(`Nothing of ${onCard} takes ${from.type}.`);
    else if (choices.length === 1) join(only);
    else {
      set({
        choice: {
          screen, title: `${from.port} goes to`,
          options: choices.map((handle) => ({ label: inputOfHandle(handle.replace(/^>/, "")).input, aside: "", type: from.type, run: () => join(handle) })),
        },
      });
    }
  }, [set]);

  const onConnectEnd: OnConnectEnd = useCallback((event, state) => {
    // The end of a wire that was there: what becomes of it is said below.
    if (moving.current !== null) return;
    const { connecting, refusal } = useCanvas.getState();
    set({ connecting: null, refusal: null });
    if (connecting === null || state.isValid === true) return;
    if (state.toHandle !== null) {
      if (refusal !== null) tell(refusal);
      return;
    }
    drop(event, connecting);
  }, [drop, set]);

  const onReconnectEnd = useCallback((event: MouseEvent | TouchEvent, _edge: Edge, _side: unknown, state: FinalConnectionState) => {
    const from = moving.current;
    const { connecting, refusal } = useCanvas.getState();
    moving.current = null;
    set({ connecting: null, refusal: null });
    if (from === null || state.isValid === true) return;
    if (state.toHandle !== null) {
      if (refusal !== null) tell(refusal);
      return;
    }
    const { x, y } = point(event);
    if (card(x, y) === null) removeWire(from);
    else if (connecting !== null) drop(event, connecting);
  }, [drop, set]);

  /** Alt and a click on a port or a thread's end removes the wire. */
  const onAltClick = useCallback((event: React.MouseEvent): boolean => {
    if (!event.altKey || !(event.target instanceof Element)) return false;
    const handle = event.target.closest<HTMLElement>(".react-flow__handle.target");
    const node = handle?.dataset["nodeid"], id = handle?.dataset["handleid"];
    if (node === undefined || id === undefined) return false;
    return removeWire({ node, ...inputOfHandle(id) });
  }, []);

  return useMemo(
    () => ({ isValidConnection, onConnectStart, onConnect, onConnectEnd, onReconnectStart, onReconnect, onReconnectEnd, onAltClick }),
    [isValidConnection, onConnectStart, onConnect, onConnectEnd, onReconnectStart, onReconnect, onReconnectEnd, onAltClick],
  );
}

function onePerInput(handles: readonly string[]): string[] {
  return [...new Map(handles.map((handle) => [inputOfHandle(handle).input, handle])).values()];
}

function endsOf(connection: Connection | Edge): { from: End; to: End } | null {
  const { source, target, sourceHandle, targetHandle } = connection;
  if (sourceHandle == null || targetHandle == null) return null;
  const from = endOf(source, sourceHandle, "out");
  const to = endOf(target, targetHandle, "in");
  return from === null || to === null ? null : { from, to };
}

/** Why a wire may not go there, in a sentence; null when it may. */
function whyNotJoin(connection: Connection | Edge): string | null {
  const ends = endsOf(connection);
  const now = here();
  if (ends === null || now === null) return "There is nothing to link.";
  return whyNot(now, ends.from, ends.to);
}
