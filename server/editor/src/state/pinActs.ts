/** Pinning pictures and taking pins away. */
import { api } from "../service/api";
import { KEY, key, type Pinned, pinOf, usePinned } from "./pinned";
import { useRuns } from "./runs";

const MOST = 100;

function put(of: ReadonlyMap<string, Pinned>): void {
  usePinned.setState({ of });
  try {
    const kept = [...of].flatMap(([name, pin]) => (pin.file === undefined ? [] : [[name, pin.file, pin.number, pin.job]]));
    localStorage.setItem(KEY, JSON.stringify(kept.slice(-MOST)));
  } catch {
    // It holds for as long as the page does.
  }
}

export function pin(tab: string, node: string, picture: Pinned): void {
  put(new Map(usePinned.getState().of).set(key(tab, node), picture));
}

export function unpin(tab: string, node: string): void {
  const before = pinOf(tab, node);
  if (!before) return;
  const rest = new Map(usePinned.getState().of);
  rest.delete(key(tab, node));
  put(rest);
  if (before.source.startsWith("blob:")) URL.revokeObjectURL(before.source);
}

/** The newest picture of a node in a tab's runs: what it saved, else the last preview. */
export function newestPicture(tab: string, node: string): Pinned | null {
  const { jobs, ofTab } = useRuns.getState();
  for (const id of ofTab.get(tab) ?? []) {
    const run = jobs.get(id);
    const output = run?.job.outputs.find((one) => one.node === node && one.kind === "image" && one.file !== undefined);
    if (run && output?.file) return { source: api.fileUrl(output.file), number: run.number, job: id, file: output.file };
    const preview = run?.nodes.get(node)?.preview;
    if (run && preview) return { source: preview, number: run.number, job: id };
  }
  return null;
}

/** Pins a node's newest picture, or takes the pin away. */
export async function togglePin(tab: string, node: string): Promise<void> {
  if (pinOf(tab, node)) return unpin(tab, node);
  const picture = newestPicture(tab, node);
  if (!picture) return;
  if (picture.file !== undefined) return pin(tab, node, picture);
  const source = await copied(picture.source);
  if (source) pin(tab, node, { ...picture, source });
}

/** A preview goes with its run, so that a copy of it is kept; drawn, since the page may fetch nothing but its own. */
async function copied(source: string): Promise<string | null> {
  const image = new Image();
  image.src = source;
  try {
    await image.decode();
  } catch {
    return null;
  }
  const canvas = document.createElement("canvas");
  canvas.width = image.naturalWidth;
  canvas.height = image.naturalHeight;
  canvas.getContext("2d")?.drawImage(image, 0, 0);
  const blob = await new Promise<Blob | null>((give) => canvas.toBlob(give));
  return blob && URL.createObjectURL(blob);
}
