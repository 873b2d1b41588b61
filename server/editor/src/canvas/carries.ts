/** What a thread carries, for its label: the kind of data, with what the last run told of it. */
import { typeText } from "../catalogue/typeexpr";
import { graphOf, INPUTS } from "../document/graph";
import { own } from "../document/objects";
import type { NodeRun } from "../state/types";
import { shownRun } from "../state/runs";
import type { Output } from "../service/types";
import { INPUTS_CARD } from "./ids";
import type { Drawn } from "./useSceneOf";

/** What is known of a run for labels. */
export interface Told {
  readonly nodes: ReadonlyMap<string, Pick<NodeRun, "items">>;
  readonly outputs: readonly Pick<Output, "node" | "width" | "height">[];
}

/** "Image 128 × 128": a picture is as large as the file that a node, which takes it, made of it. "Image, 20 items" per item. */
export function carried(type: string, from: string, takers: readonly string[], told: Told | undefined): string {
  const items = told?.nodes.get(from)?.items?.of;
  const file = type === "Image" ? told?.outputs.find((output) => output.width !== undefined && takers.includes(output.node)) : undefined;
  const size = file === undefined ? "" : ` ${file.width ?? 0} × ${file.height ?? 0}`;
  return `${type}${size}${items === undefined || items < 2 ? "" : `, ${items} items`}`;
}

let shown: { readonly tab: string; readonly drawn: Drawn } | null = null;

/** What is drawn now: labels are made when a thread is pointed at, so that no event of a run touches threads. */
export function showCarried(tab: string, drawn: Drawn): void {
  shown = { tab, drawn };
}

/** Says it for an output of what is shown. */
export function carriedBy(source: string, output: string): string {
  if (shown === null) return "";
  const { document, place, prefix, catalogue, threads } = shown.drawn;
  const run = shownRun(shown.tab);
  const list = threads.filter((thread) => thread.source === source && thread.output === output);
  const made = catalogue.madeType(document, place, { node: source === INPUTS_CARD ? INPUTS : source, output });
  const type = made === undefined ? (list[0]?.type ?? "any") : typeText(made);
  // Only what saves a picture as it is tells how large it is.
  const savers = list.filter((thread) => own(graphOf(document, place).nodes, thread.target)?.type === "save_image");
  return carried(type, prefix + source, savers.map((thread) => prefix + thread.target), run && { nodes: run.nodes, outputs: run.job.outputs });
}
