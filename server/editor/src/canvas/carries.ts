/** What a thread carries, for its label: the kind of data, with what the last run told of it. */
import { typeText } from "../catalogue/typeexpr";
import { INPUTS } from "../document/graph";
import type { NodeRun } from "../state/types";
import { shownRun } from "../state/runs";
import type { Output } from "../service/types";
import { INPUTS_CARD } from "./ids";
import type { SceneThread } from "./scene";
import type { Shown } from "./useSceneOf";

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

/** Says it for the outputs of what is shown; the run is looked up once. */
export function carriesOf({ tab, document, place, prefix, catalogue, threads }: Shown): (source: string, output: string) => string {
  const run = shownRun(tab.id);
  const told: Told | undefined = run === undefined ? undefined : { nodes: run.nodes, outputs: run.job.outputs };
  const byOutput = new Map<string, SceneThread[]>();
  for (const thread of threads) {
    const key = `${thread.source}.${thread.output}`;
    byOutput.set(key, [...(byOutput.get(key) ?? []), thread]);
  }
  return (source, output) => {
    const list = byOutput.get(`${source}.${output}`) ?? [];
    const made = catalogue.madeType(document, place, { node: source === INPUTS_CARD ? INPUTS : source, output });
    const type = made === undefined ? (list[0]?.type ?? "any") : typeText(made);
    // Only what saves a picture as it is tells how large it is.
    const savers = list.filter((thread) => document.nodes[thread.target]?.type === "save_image" && place === null);
    return carried(type, prefix + source, savers.map((thread) => prefix + thread.target), told);
  };
}
