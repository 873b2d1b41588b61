/** Commands of the panels. */
import type { Command } from "../keys/commands";
import { cancelJob } from "../state/actions";
import { togglePin } from "../state/pinActs";
import { planOf } from "../state/plans";
import { showPanel } from "../state/preferences";
import { shownRun, useRuns } from "../state/runs";
import { pauseQueue } from "../state/actions";
import { runId, tabOf } from "../state/workspace";
import { readGallery } from "./galleryData";
import { stepProblem } from "./problemActs";
import { showTimelineOf } from "./shownRun";

const here = () => tabOf() !== undefined;
const hasRun = () => {
  const tab = tabOf();
  return tab !== undefined && shownRun(tab.id) !== undefined;
};
const hasProblems = () => {
  const tab = tabOf();
  return tab !== undefined && planOf(tab.id).problems.length > 0;
};

/** The one chosen node, as a run names it; null without. */
function chosen(): { tab: string; node: string } | null {
  const tab = tabOf();
  const [id, more] = [...(tab?.selected ?? [])];
  const only = more === undefined ? (id ?? tab?.focus ?? null) : null;
  return tab && only !== null ? { tab: tab.id, node: runId(tab, only) } : null;
}

/** Shows the result with the run before, and puts the keys on the bar. */
function compareWithBefore(): void {
  showPanel("right", "inspector");
  requestAnimationFrame(() => document.getElementById("compare-result")?.focus());
}

export const commands: readonly Command[] = [
  { id: "problems.next", label: "Next problem", group: "Move", keys: ["F8"], where: "anywhere", icon: "error", inFields: true, when: hasProblems, run: () => stepProblem(1) },
  { id: "problems.before", label: "Problem before", group: "Move", keys: ["Shift+F8"], where: "anywhere", icon: "error", inFields: true, when: hasProblems, run: () => stepProblem(-1) },
  { id: "run.compare", label: "Compare with the run before", group: "Run", keys: ["="], where: ["canvas", "outline"], icon: "split", when: hasRun, run: compareWithBefore },
  {
    id: "run.pin",
    label: "Pin the picture of the chosen node, or unpin it",
    group: "Run",
    keys: [],
    where: "canvas",
    icon: "pin",
    words: "compare keep result",
    when: () => chosen() !== null,
    run: () => {
      const now = chosen();
      if (now) void togglePin(now.tab, now.node);
    },
  },
  {
    id: "run.timeline",
    label: "Timeline of the last run",
    group: "Run",
    keys: [],
    where: "anywhere",
    icon: "timeline",
    when: hasRun,
    run: () => {
      const run = shownRun(tabOf()?.id ?? "");
      if (run) showTimelineOf(run.job.id);
    },
  },
  { id: "queue.pause", label: "Pause the queue, or resume it", group: "Run", keys: [], where: "anywhere", icon: "pause", run: () => void pauseQueue(!useRuns.getState().queue.paused) },
  {
    id: "queue.clear",
    label: "Cancel all that waits",
    group: "Run",
    keys: [],
    where: "anywhere",
    icon: "close",
    words: "clear queue",
    when: () => [...useRuns.getState().jobs.values()].some(({ job }) => job.state === "queued"),
    run: () => {
      for (const { job } of useRuns.getState().jobs.values()) if (job.state === "queued") void cancelJob(job.id);
    },
  },
  { id: "gallery.read", label: "Look for new pictures", group: "Run", keys: [], where: "anywhere", icon: "image", when: here, run: () => void readGallery() },
];
