/** All edits of one graph: each takes the document and a place and gives an edit, or says why there is none. */
export * from "./edit-cards";
export { connect, disconnect, insertOnWire, moveItem, moveLink, takeOut, whyNotConnect } from "./edit-links";
export { addNode, changeType, removeNodes, rename, renameInput, resetInput, setInput, setInputs, setMode, setNodeKey } from "./edit-nodes";
export * from "./edit-parameters";
