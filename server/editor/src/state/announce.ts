/** What a screen reader hears of runs, in few words (DESIGN.md, 11). */
import type { JobEvent } from "../service/types";
import { say } from "./notices";
import { planOf, usePlan } from "./plans";
import { useRuns } from "./runs";
import { counted, duration } from "./words";
import { useWorkspace } from "./workspace";

/** The last quarter told, by job and node. */
const quarters = new Map<string, number>();

/** Tells what an event of a job of ours is about, where a listener wants to know. */
export function announce(event: JobEvent): void {
  const info = useRuns.getState().jobs.get(event.job);
  if (!info?.tab || info.tab !== useWorkspace.getState().current) return;
  const live = info.job.slot !== null && info.job.slot !== undefined;
  switch (event.event) {
    case "job_started": {
      const { run } = planOf(info.tab).counts;
      if (!live) say(`Run ${info.number} started, ${run > 0 ? `${run} of ${event.nodes ?? 0}` : counted(event.nodes ?? 0, "node")}`);
      return;
    }
    case "node_progress": {
      const { step = 0, total = 0, node } = event;
      if (live || node === null || total < 4) return;
      const key = `${event.job} ${node}`;
      const quarter = Math.floor((step / total) * 4);
      if (quarter <= (quarters.get(key) ?? 0) || quarter >= 4) return;
      quarters.set(key, quarter);
      say(`${node} ${quarter * 25} %`);
      return;
    }
    case "job_finished":
      say(`done, ${duration(event.seconds ?? 0)}`);
      break;
    case "job_failed":
      say(event.error?.node ? `failed: ${event.error.node}. ${event.error.message}` : `failed. ${event.error?.message ?? ""}`);
      break;
    case "job_cancelled":
      if (!live) say("cancelled");
      break;
    default:
      return;
  }
  for (const key of quarters.keys()) if (key.startsWith(`${event.job} `)) quarters.delete(key);
}

/** "3 problems, first: denoise width": when there are others than before. */
export function watchProblems(): () => void {
  return usePlan.subscribe((now, before) => {
    const id = useWorkspace.getState().current;
    if (id === null || now.ofTab.get(id)?.asked !== "known") return;
    const errors = (state: typeof now) => (state.ofTab.get(id)?.problems ?? []).filter((one) => one.severity === "error");
    const [found, past] = [errors(now), errors(before)];
    if (found.length === past.length) return;
    const first = found[0];
    if (!first) say("no problems");
    else say(`${counted(found.length, "problem")}, first: ${[first.node, first.input].filter(Boolean).join(" ") || first.message}`);
  });
}
