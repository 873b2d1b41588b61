/** Pictures that a tab's runs gave, those of earlier days and other pages too. */
import { useEffect } from "react";
import { create } from "zustand";
import { differences, valueWords } from "../document/difference";
import { entriesOf } from "../document/objects";
import type { Document } from "../document/types";
import { api } from "../service/api";
import type { Output } from "../service/types";
import { workflowTag } from "../state/actions";
import { takeJob, useRuns } from "../state/runs";
import type { RunInfo, Tab } from "../state/types";

export interface Picture {
  readonly run: RunInfo;
  readonly output: Output;
  readonly source: string;
}

export function imagesOf(run: RunInfo): Output[] {
  return run.job.outputs.filter((output) => output.kind === "image" && output.file !== undefined);
}

/** Pictures of runs, the newest first, each once. */
export function picturesOf(ids: Iterable<string>, jobs: ReadonlyMap<string, RunInfo>, most = 24): Picture[] {
  const runs = [...new Set(ids)].flatMap((id) => jobs.get(id) ?? []).sort((a, b) => b.job.created - a.job.created);
  const found: Picture[] = [];
  for (const run of runs) {
    for (const output of imagesOf(run)) {
      if (output.file) found.push({ run, output, source: api.fileUrl(output.file) });
    }
    if (found.length >= most) break;
  }
  return found.slice(0, most);
}

/** Jobs of saved workflows that the server remembers, by the workflow's name. */
const useEarlier = create<{ readonly of: ReadonlyMap<string, readonly string[]> }>(() => ({ of: new Map() }));
const NONE: readonly string[] = [];

async function loadEarlier(name: string): Promise<void> {
  const { jobs } = await api.jobs({ tag: workflowTag(name), limit: 24 });
  // The oldest first, so that runs are counted in their order.
  for (const job of jobs.toReversed()) takeJob(job);
  useEarlier.setState(({ of }) => ({ of: new Map(of).set(name, jobs.map(({ id }) => id)) }));
}

export function usePictures(tab: Tab): Picture[] {
  const own = useRuns((state) => state.ofTab.get(tab.id)) ?? NONE;
  const earlier = useEarlier((state) => (tab.name === null ? undefined : state.of.get(tab.name))) ?? NONE;
  const jobs = useRuns((state) => state.jobs);
  useEffect(() => {
    if (tab.name !== null) void loadEarlier(tab.name).catch(() => {});
  }, [tab.name]);
  return picturesOf([...own, ...earlier], jobs);
}

/**
 * What an earlier picture had that the later one has not, by the names of the parameters: "sega_scale 0.0". Empty where nothing
 * that makes a picture differs, or one of them is not known.
 */
export function runDifference(before: Document | null | undefined, now: Document | null | undefined): string {
  if (!before || !now) return "";
  const names = new Map(entriesOf(before.parameters ?? {}).map(([name, { input }]) => [input, name]));
  const lines = differences(before, now)
    .filter(({ what }) => what !== "title" && what !== "parameter" && what !== "output")
    .map(({ node, input, was, what }) => {
      const where = [node, input].filter(Boolean).join(".");
      if (what === "added") return `without ${where}`;
      if (what === "removed") return `with ${where}`;
      return `${names.get(where) ?? where} ${was === undefined ? "as usual" : short(valueWords(was))}`;
    });
  return lines.length > 2 ? `${lines.slice(0, 2).join(" · ")} and ${lines.length - 2} more` : lines.join(" · ");
}

const short = (text: string): string => (text.length > 40 ? `${text.slice(0, 39)}…` : text);
