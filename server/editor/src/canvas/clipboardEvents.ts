/** The system's clipboard: by its events where the browser gives them, by its promise where a menu asks. */
import { useNotices } from "../state/notices";
import { copyText, paste } from "./clipboardActs";
import { removeChosen } from "./nodeActs";
import { tell } from "./acts";

async function write(text: string): Promise<boolean> {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    useNotices.getState().say({ kind: "warn", text: "The browser does not let this page write to the clipboard: use Ctrl+C." });
    return false;
  }
}

export async function copySelection(): Promise<void> {
  const text = copyText();
  if (text !== null && (await write(text))) tell("copied");
}

export async function cutSelection(): Promise<void> {
  const text = copyText();
  if (text !== null && (await write(text))) removeChosen(false);
}

export async function pasteFromClipboard(withLinks: boolean, at?: { x: number; y: number }): Promise<void> {
  try {
    paste(await navigator.clipboard.readText(), withLinks, at);
  } catch {
    useNotices.getState().say({ kind: "warn", text: "The browser does not let this page read the clipboard: use Ctrl+V." });
  }
}

/** Whether the keys are on the canvas and not in a field of it. */
function onCanvas(): boolean {
  const active = document.activeElement;
  if (active === null || active.closest(".canvas--flow") === null) return false;
  return active.closest("input, textarea, select, [contenteditable], [role=dialog], [role=menu]") === null;
}

/** Ctrl+C, X and V on the canvas, for as long as it is there. */
export function watchClipboard(withLinks: () => boolean): () => void {
  const copy = (event: ClipboardEvent): void => {
    const text = onCanvas() && String(window.getSelection() ?? "") === "" ? copyText() : null;
    if (text === null || event.clipboardData === null) return;
    event.preventDefault();
    event.clipboardData.setData("text/plain", text);
    if (event.type === "cut") removeChosen(false);
    else tell("copied");
  };
  const pasted = (event: ClipboardEvent): void => {
    const text = onCanvas() ? (event.clipboardData?.getData("text/plain") ?? "") : "";
    if (text.trim() === "") return;
    event.preventDefault();
    paste(text, withLinks());
  };
  document.addEventListener("copy", copy);
  document.addEventListener("cut", copy);
  document.addEventListener("paste", pasted);
  return () => {
    document.removeEventListener("copy", copy);
    document.removeEventListener("cut", copy);
    document.removeEventListener("paste", pasted);
  };
}
