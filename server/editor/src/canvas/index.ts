/** What other parts use of the canvas. */
export { Canvas } from "./Canvas";
export { frame, reveal, focusCard, useScene } from "./sceneStore";
export { useCanvas } from "./canvasStore";
export { detailAt } from "./detail";
export { TYPE_DRAG } from "./dropActs";
export { addAt } from "./nodeActs";
