/** The title of the page: what is open, and how far its run is, to be read in the browser's own bar. */
import { useEffect } from "react";
import type { RunInfo, Tab } from "../state/types";

/** How much of a run is done, 0 to 1: whole nodes, and of those that run their steps. */
export function doneShare(run: Pick<RunInfo, "job" | "nodes" | "of">): number | null {
  const of = run.of || run.job.progress.of;
  if (of === 0) return null;
  let done = 0;
  for (const [id, node] of run.nodes) {
    // A use sums up what its inside tells.
    if (node.inner || id.includes("#")) continue;
    if (node.state === "done" || node.state === "cached" || node.state === "skipped") done += 1;
    else if (node.state === "running" && node.total) done += (node.step ?? 0) / node.total;
  }
  return Math.min(1, Math.max(done, run.job.progress.done + run.job.progress.cached) / of);
}

/** "50 % · dome - Weft". */
export function pageTitle(tab: Pick<Tab, "title" | "unsaved"> | undefined, run: Pick<RunInfo, "job" | "nodes" | "of"> | undefined): string {
  if (!tab) return "Weft";
  const share = run && run.job.started !== null ? doneShare(run) : null;
  const state = !run ? "" : run.job.started === null ? "waits · " : share === null ? "runs · " : `${Math.floor(share * 100)} % · `;
  return `${state}${tab.title} - Weft`;
}

export function usePageTitle(tab: Tab | undefined, run: RunInfo | undefined): void {
  const title = pageTitle(tab, run);
  useEffect(() => {
    document.title = title;
  }, [title]);
}
