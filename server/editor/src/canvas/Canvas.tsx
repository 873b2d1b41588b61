import { Background, BackgroundVariant, ReactFlow, ReactFlowProvider, type EdgeTypes, type NodeChange, type NodeTypes, type ReactFlowInstance, useStoreApi } from "@xyflow/react";
import "@xyflow/react/dist/base.css";
import { useCallback, useEffect, useMemo, useRef, useState, type DragEvent, type MouseEvent as ReactMouseEvent } from "react";
import { useCatalogue } from "../state/catalogue";
import { useWorkspace } from "../state/workspace";
import { parted } from "./ids";
import { CardNode } from "./CardNode";
import { ConnectionLine } from "./ConnectionLine";
import { closeFloating, useCanvas } from "./canvasStore";
import { CULL_FROM, detailAt, isBlocks, nameSize } from "./detail";
import { GroupNode } from "./GroupNode";
import { bendAt, openMenuAt } from "./openMenu";
import { NoteNode } from "./NoteNode";
import { RerouteNode } from "./RerouteNode";
import { focusCard, frame, useScene } from "./sceneStore";
import { ThreadEdge } from "./ThreadEdge";
import { useDrags } from "./useDrags";
import type { FlowNode } from "./flowNodes";
import type { ThreadEdgeType } from "./ThreadEdge";
import { useCanvasKeys } from "./useCanvasKeys";
import { useFlow } from "./useFlow";
import { useLongPress } from "./useLongPress";
import { usePicture } from "./usePicture";
import { useSceneOf } from "./useSceneOf";
import { useWires } from "./useWires";
import { targetOfThread } from "./nodeActs";
import { removeWire } from "./wireActs";
import type { Tab } from "../state/types";
import type { Catalogue } from "../catalogue/catalogue";
import { acceptDrop } from "./dropActs";
import { Breadcrumb } from "./Breadcrumb";
import { later } from "../marks/later";

const ContextMenu = later(async () => (await import("./ContextMenu")).ContextMenu);
const PaletteHost = later(async () => (await import("./PaletteHost")).PaletteHost);

const Choice = later(async () => (await import("./Choice")).Choice);
const BlockLayer = later(async () => (await import("./BlockLayer")).BlockLayer);
const BlockLabels = later(async () => (await import("./BlockLayer")).BlockLabels);
const EdgeCard = later(async () => (await import("./EdgeCard")).EdgeCard);
const nodeTypes: NodeTypes = { card: CardNode, definition: CardNode, edge: EdgeCard, group: GroupNode, note: NoteNode, reroute: RerouteNode };
const edgeTypes: EdgeTypes = { thread: ThreadEdge };
const SNAP: [number, number] = [8, 8];
const PAN_BUTTONS = [1];
/** So long after it is there a graph has its view: framing takes 140 ms. */
const SETTLES = 200;
/** Nothing floats over the canvas: the status bar names what it is built with (docs/editor.md). */
const PRO = { hideAttribution: true };

interface CanvasProps {
  /** What the wheel does: zooms at the pointer, or pans (then Ctrl and the wheel zoom). */
  readonly wheel?: "zoom" | "pan";
  /** On a phone the canvas is looked at only. */
  readonly viewOnly?: boolean;
}

/** The graph of the tab that is shown. */
export function Canvas(props: CanvasProps) {
  const tab = useWorkspace((state) => state.tabs.find((one) => one.id === state.current));
  const catalogue = useCatalogue((state) => state.catalogue);
  if (tab === undefined || catalogue === null) return <div className="canvas canvas--flow" role="group" aria-label="Canvas" tabIndex={0} />;
  return (
    <ReactFlowProvider key={tab.id}>
      <div className="work__canvas">
        <Breadcrumb tab={tab} />
        <Flow key={tab.trail.map((step) => step.use).join("/")} tab={tab} catalogue={catalogue} {...props} />
      </div>
    </ReactFlowProvider>
  );
}

function Flow({ tab, catalogue, wheel = "zoom", viewOnly = false }: CanvasProps & { readonly tab: Tab; readonly catalogue: Catalogue }) {
  const shown = useSceneOf(tab, catalogue);
  const drags = useDrags();
  const wires = useWires();
  const pane = useRef<HTMLDivElement>(null);
  const [flow, setFlow] = useState<ReactFlowInstance<FlowNode, ThreadEdgeType> | null>(null);
  // A large graph begins as blocks: before its view is found, every card would count as seen.
  const [settled, setSettled] = useState(false);
  const zoomed = useCanvas((state) => state.detail);
  const detail = shown.boxes.size >= CULL_FROM && !settled ? "far" : zoomed;
  const set = useCanvas((state) => state.set);
  const [free, setFree] = useState(false);
  const { nodes, edges, labels } = useFlow(shown, drags.dragged, detail);
  const { picture, version, theme } = usePicture();
  const boxBase = useRef<ReadonlySet<string> | null>(null);
  
  const onKeyDown = useCanvasKeys();
  const press = useLongPress(viewOnly);
  const blocks = isBlocks(detail);

  useEffect(() => {
    if (flow !== null) useScene.setState({ flow: flow as unknown as ReactFlowInstance, pane: pane.current });
    return () => useScene.setState({ flow: null, pane: null });
  }, [flow]);

  // Going in or out of a definition takes the keys' place away: they go to the node that was left, or to the canvas.
  const start = useRef(tab.focus);
  useEffect(() => {
    if (flow === null || (document.activeElement !== null && document.activeElement !== document.body)) return;
    if (start.current === null) pane.current?.focus({ preventScroll: true });
    else requestAnimationFrame(() => { if (start.current !== null) focusCard(start.current); });
  }, [flow]);

  // The view of a place is kept; the first time, all of it is shown.
  const ready = shown.boxes.size === 0 || [...shown.boxes.values()].some((box) => box.x !== 0 || box.y !== 0) || shown.boxes.size === 1;
  const framed = useRef(tab.viewports.has(shown.place ?? ""));
  useEffect(() => {
    if (flow === null || framed.current || !ready) return;
    framed.current = true;
    frame();
  }, [flow, ready]);
  useEffect(() => {
    if (flow === null || !ready) return;
    const timer = setTimeout(() => setSettled(true), SETTLES);
    return () => clearTimeout(timer);
  }, [flow, ready]);
  const viewport = tab.viewports.get(shown.place ?? "");

  const applyZoom = useCallback((zoom: number) => {
    const next = detailAt(zoom);
    if (useCanvas.getState().detail !== next) set({ detail: next, pointedBlock: null });
    if (next !== "full") pane.current?.style.setProperty("--name-size", `${nameSize(zoom)}px`);
  }, [set]);

  const onNodesChange = useCallback((changes: NodeChange<FlowNode>[]) => {
    const selections = changes.filter((change) => change.type === "select");
    if (selections.length === 0) return;
    const { tabs, current, select } = useWorkspace.getState();
    const chosen = new Set(boxBase.current ?? tabs.find((one) => one.id === current)?.selected);
    for (const change of selections) {
      if (change.selected) chosen.add(change.id);
      else if (boxBase.current?.has(change.id) !== true) chosen.delete(change.id);
    }
    select(chosen);
  }, []);

  const store = useStoreApi();
  const onContextMenu = useCallback((event: ReactMouseEvent | MouseEvent) => {
    event.preventDefault();
    openMenuAt(event.target, event.clientX, event.clientY);
  }, []);

  const hover = useCallback((event: ReactMouseEvent) => {
    if (!blocks || flow === null || event.buttons !== 0) return;
    const at = flow.screenToFlowPosition({ x: event.clientX, y: event.clientY });
    let under: string | null = null;
    for (const [id, box] of shown.boxes) if (at.x >= box.x && at.x <= box.x + box.width && at.y >= box.y && at.y <= box.y + box.height) under = id;
    if (useCanvas.getState().pointedBlock !== under) set({ pointedBlock: under });
  }, [blocks, flow, shown.boxes, set]);

  const className = useMemo(() => {
    const names = ["canvas", "canvas--flow"];
    if (detail === "near") names.push("canvas--near");
    if (blocks) names.push("canvas--blocks");
    if (tab.selected.size > 0) names.push("canvas--chosen");
    return names.join(" ");
  }, [detail, blocks, tab.selected.size]);

  const count = shown.boxes.size;
  return (
    <div
      ref={pane}
      className={className}
      role="group"
      aria-label={`Workflow ${tab.title}: ${count === 1 ? "1 node" : `${count} nodes`}`}
      tabIndex={0}
      data-detail={detail}
      data-scope="canvas"
      data-region="canvas"
      onKeyDown={onKeyDown}
      // React Flow learns of Shift a frame after the key, and never when it was pressed elsewhere: the pointer knows.
      onPointerDownCapture={(event) => { store.setState({ multiSelectionActive: event.shiftKey }); setFree(event.ctrlKey || event.metaKey); if (event.button === 0 && !(event.target instanceof Element && event.target.closest(".menu"))) closeFloating(); }}
      onClickCapture={(event) => { if (wires.onAltClick(event)) event.stopPropagation(); }}
      onDoubleClick={(event) => { if (!viewOnly && event.target instanceof Element && event.target.classList.contains("react-flow__pane") && flow !== null) {
        const screen = { x: event.clientX, y: event.clientY };
        set({ palette: { screen, graph: flow.screenToFlowPosition(screen, { snapToGrid: true }), from: null, wire: null } });
      } }}
      onMouseMove={hover}
      {...press}
      onDragOver={(event: DragEvent) => event.preventDefault()}
      onDrop={(event: DragEvent) => { event.preventDefault(); if (flow !== null && !viewOnly) void acceptDrop(event.dataTransfer, flow.screenToFlowPosition({ x: event.clientX, y: event.clientY })); }}
    >
      <ReactFlow<FlowNode, ThreadEdgeType>
        nodes={nodes}
        edges={edges}
        nodeTypes={nodeTypes}
        edgeTypes={edgeTypes}
        onInit={(instance) => { setFlow(instance); applyZoom(instance.getZoom()); }}
        onNodesChange={onNodesChange}
        onMove={(_, { zoom }) => applyZoom(zoom)}
        onMoveEnd={(_, view) => useWorkspace.getState().setViewport(view)}
        {...(viewport === undefined ? {} : { defaultViewport: viewport })}
        onNodeDragStart={drags.start}
        onNodeDrag={drags.move}
        onNodeDragStop={drags.stop}
        onSelectionStart={(event) => { boxBase.current = event.shiftKey ? (useWorkspace.getState().tabs.find((one) => one.id === tab.id)?.selected ?? null) : null; }}
        onSelectionEnd={() => { boxBase.current = null; }}
        onPaneClick={() => useWorkspace.getState().select([])}
        onNodeClick={chooseOnly}
        onNodeContextMenu={onContextMenu}
        onEdgeContextMenu={onContextMenu}
        onPaneContextMenu={onContextMenu}
        onEdgeMouseEnter={(_, edge) => set({ pointedThread: edge.id })}
        onEdgeMouseLeave={() => set({ pointedThread: null })}
        // Without a handler of clicks React Flow takes threads out of the pointer's reach.
        onEdgeClick={(event, edge) => { if (event.altKey && !viewOnly) removeWire({ ...targetOfThread(edge.id), index: targetOfThread(edge.id).index ?? null }); }}
        onEdgeDoubleClick={(event, edge) => { event.stopPropagation(); if (flow !== null && !viewOnly) bendAt(edge.id, flow.screenToFlowPosition({ x: event.clientX, y: event.clientY })); }}
        onNodeDoubleClick={(_, node) => { if (node.type === "definition") useWorkspace.getState().enter(node.id); }}
        onConnect={wires.onConnect}
        onConnectStart={wires.onConnectStart}
        onConnectEnd={wires.onConnectEnd}
        onReconnectStart={wires.onReconnectStart}
        onReconnect={wires.onReconnect}
        onReconnectEnd={wires.onReconnectEnd}
        isValidConnection={wires.isValidConnection}
        connectionLineComponent={ConnectionLine}
        connectionRadius={24}
        reconnectRadius={10}
        snapToGrid={!free}
        snapGrid={SNAP}
        minZoom={0.05}
        maxZoom={2}
        nodesDraggable={!viewOnly}
        nodesConnectable={!viewOnly}
        nodesFocusable={false}
        edgesFocusable={false}
        disableKeyboardA11y
        deleteKeyCode={null}
        selectionKeyCode={null}
        multiSelectionKeyCode="Shift"
        panActivationKeyCode="Space"
        selectionOnDrag={!viewOnly}
        panOnDrag={viewOnly ? true : PAN_BUTTONS}
        panOnScroll={wheel === "pan"}
        zoomOnScroll={wheel === "zoom"}
        zoomActivationKeyCode={wheel === "pan" ? "Control" : null}
        zoomOnDoubleClick={false}
        elevateNodesOnSelect
        proOptions={PRO}
        onlyRenderVisibleElements={count >= CULL_FROM}
      >
        {!blocks && <Background variant={BackgroundVariant.Dots} gap={24} size={2} />}
        {blocks && <BlockLayer picture={picture} version={version} theme={theme} />}
      </ReactFlow>
      {count === 0 && shown.scene.notes.size === 0 && shown.place === null && <Beginning viewOnly={viewOnly} />}
      {blocks && <BlockLabels labels={labels} />}
      {!viewOnly && <PaletteHost />}
      {!viewOnly && <Choice />}
      {!viewOnly && <ContextMenu />}
    </div>
  );
}

/** A click on one of several chosen, without Shift, chooses it alone; a drag moves them all. */
function chooseOnly(event: ReactMouseEvent, node: FlowNode): void {
  if (event.shiftKey || event.altKey || (event.target instanceof Element && event.target.closest("button, input, textarea, select, a") !== null)) return;
  const { tabs, current, select } = useWorkspace.getState();
  const chosen = tabs.find((tab) => tab.id === current)?.selected;
  if (chosen !== undefined && chosen.size > 1 && chosen.has(node.id)) select([node.id], parted(node.id).kind === "node" ? node.id : null);
}

/** What an empty canvas says; it takes no clicks. */
function Beginning({ viewOnly }: { readonly viewOnly: boolean }) {
  return (
    <p className="canvas__empty">
      <strong>This workflow is empty.</strong>
      {!viewOnly && <span className="quiet"><kbd>A</kbd> or a double-click adds a node. A workflow or a picture can be dropped here.</span>}
    </p>
  );
}
