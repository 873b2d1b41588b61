/** Pictures that a tab's runs gave. */
import { api } from "../service/api";
import type { Output } from "../service/types";
import { useRuns } from "../state/runs";
import type { RunInfo, Tab } from "../state/types";

export interface Picture {
  readonly run: RunInfo;
  readonly output: Output;
  readonly source: string;
}

export function imagesOf(run: RunInfo): Output[] {
  return run.job.outputs.filter((output) => output.kind === "image" && output.file !== undefined);
}

/** Pictures of a tab's runs, the newest first. */
export function picturesOf(tab: Tab, ofTab: ReadonlyMap<string, readonly string[]>, jobs: ReadonlyMap<string, RunInfo>, most = 24): Picture[] {
  const found: Picture[] = [];
  for (const id of ofTab.get(tab.id) ?? []) {
    const run = jobs.get(id);
    for (const output of run ? imagesOf(run) : []) {
      if (run && output.file) found.push({ run, output, source: api.fileUrl(output.file) });
    }
    if (found.length >= most) break;
  }
  return found.slice(0, most);
}

export function usePictures(tab: Tab): Picture[] {
  const ofTab = useRuns((state) => state.ofTab);
  const jobs = useRuns((state) => state.jobs);
  return picturesOf(tab, ofTab, jobs);
}
