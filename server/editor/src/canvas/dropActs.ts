/** What is dropped from outside: files, and types from the panel "Add". */
import { openFile } from "../state/opening";
import { useNotices } from "../state/notices";
import { api } from "../service/api";
import { act, here, tell } from "./acts";
import { addNode } from "../document/edits";
import { addAt } from "./nodeActs";
import { middle } from "./sceneStore";

export const TYPE_DRAG = "application/x-weft-type";

/** A type becomes a node there; a JSON, or a picture with a workflow, a tab; another picture a `load_image`. */
export async function acceptDrop(data: DataTransfer, at: { x: number; y: number }): Promise<void> {
  const type = data.getData(TYPE_DRAG);
  if (type !== "") {
    addAt(type, at, null, null);
    return;
  }
  await acceptFiles([...data.files], at);
}

/** Files, wherever on the page they were dropped: without a tab a picture has no graph to go into, and is asked for a workflow. */
export async function acceptFiles(files: readonly File[], at: { x: number; y: number } = middle()): Promise<void> {
  for (const [index, file] of files.entries()) {
    try {
      if (here() === null || !file.type.startsWith("image/") || (await hasWorkflow(file))) {
        await openFile(file);
        continue;
      }
      const uploaded = await api.upload(file);
      const step = index * 24;
      if (act(({ document, place }) => addNode(document, place, "load_image", { x: at.x + step, y: at.y + step, inputs: { path: uploaded.file } }))) {
        tell(`${file.name} is a load_image node of the graph`);
      }
    } catch (error) {
      useNotices.getState().say({ kind: "failed", head: `${file.name} cannot be taken.`, text: error instanceof Error ? error.message : "" });
    }
  }
}

/** Whether a PNG has a text chunk that names Weft; read in its first 256 kB. */
async function hasWorkflow(file: File): Promise<boolean> {
  if (file.type !== "image/png") return false;
  const bytes = new Uint8Array(await file.slice(0, 262_144).arrayBuffer());
  const text = new TextDecoder("latin1").decode(bytes);
  return /(?:tEXt|iTXt|zTXt)(?:weft|workflow|prompt)/.test(text);
}
