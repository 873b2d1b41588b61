/** Acts that nobody does in the first second: the clipboard, making definitions and taking them apart. */
export { copyTo, duplicate } from "./clipboardActs";
export { pasteFromClipboard, watchClipboard } from "./clipboardEvents";
export { removeExposedRow } from "./definitionActs";
export { linkInput, linkNode } from "./linkActs";
export { defineChosen, unpackChosen } from "./defineActs";
