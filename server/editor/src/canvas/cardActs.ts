/** What a card's own fields, links and buttons do. */
import { changeType, rename, resetInput, resizeCard, setInput } from "../document/edits";
import { isRefusal, type Json } from "../document/types";
import { retry } from "../state/actions";
import { usePlan } from "../state/plans";
import { shownRun } from "../state/runs";
import { useWorkspace } from "../state/workspace";
import { act, here, tell } from "./acts";
import { focusCard } from "./sceneStore";

/** A field's value; `final` is false while a drag or typing goes on, which is one act. */
export function changeField(node: string, input: string, value: Json | undefined, final: boolean): void {
  act(({ document, place }) => (value === undefined ? resetInput(document, place, node, input) : setInput(document, place, node, input, value)), `field ${node}.${input}`);
  // The next change of the same field is another act.
  if (final) act(() => null);
}

/** While the edge of a card is dragged; 0 ends the drag, which is one act, -1 gives the width back that the type has. */
export function widenCard(node: string, width: number): void {
  if (width === 0) act(() => null);
  else act(({ document, place }) => resizeCard(document, place, node, width < 0 ? null : width), width < 0 ? undefined : `width ${node} ${widening}`);
  if (width <= 0) widening += 1;
}

/** Drags of edges so far: each is an act of its own. */
let widening = 0;

/** Renames a node; a sentence when it cannot be. */
export function renameNode(node: string, name: string): string | null {
  const now = here();
  if (now === null) return null;
  const attempt = rename(now.document, now.place, node, name.trim());
  if (isRefusal(attempt)) {
    tell(attempt.refused);
    return attempt.refused;
  }
  act(() => attempt);
  const { select } = useWorkspace.getState();
  select([name.trim()], name.trim());
  requestAnimationFrame(() => focusCard(name.trim()));
  return null;
}

/** Goes to where a tag comes from. */
export function showSource(node: string): void {
  useWorkspace.getState().select([node], node);
  focusCard(node);
}

/** The links in a card's foot. */
export function openLink(tab: string, path: string, node: string, name: "Log" | "Retry" | "Replace" | "Open"): void {
  const run = shownRun(tab);
  if (name === "Retry" && run !== undefined) void retry(run.job.id);
  if (name === "Log" && run !== undefined) {
    const fault = run.nodes.get(path)?.error ?? run.job.error;
    window.dispatchEvent(new CustomEvent("weft:log", { detail: { job: run.job.id, node: path, text: fault?.traceback ?? fault?.message ?? "" } }));
  }
  if (name === "Open" && run !== undefined) {
    const file = run.job.outputs.find((output) => output.node === path && output.file !== undefined)?.file;
    if (file !== undefined) window.open(`/api/v1/files/${encodeURIComponent(file)}`, "_blank", "noopener");
  }
  if (name === "Replace") {
    const problem = usePlan.getState().ofTab.get(tab)?.problems.find((one) => one.node === path && one.code === "unknown_node_type");
    const type = problem?.suggestion;
    if (type != null) act(({ document, place }) => changeType(document, place, node, type));
    else tell("No installed node has a name like this one.");
  }
}
