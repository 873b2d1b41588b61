/** What other parts use of the canvas. */
export { Canvas } from "./Canvas";
export { MiniMap } from "./MiniMap";
export { commands, goTo } from "./commands";
export { frame, reveal, focusCard, useScene } from "./sceneStore";
export { useCanvas } from "./canvasStore";
export { detailAt } from "./detail";
export { leaveKeysToRegistry } from "./useCanvasKeys";
export { TYPE_DRAG } from "./dropActs";
export { addAt } from "./nodeActs";
export { linkInput } from "./linkActs";
