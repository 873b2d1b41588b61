/** Numbers on the panels' tabs: they are there before the panels are. */
import { usePlan } from "../state/plans";
import { ended } from "../state/reduce";
import { useRuns } from "../state/runs";
import { useWorkspace } from "../state/workspace";

/** How many runs work or wait. */
export function useRunCount() {
  const count = useRuns((state) => {
    let found = 0;
    for (const { job } of state.jobs.values()) if (!ended(job)) found += 1;
    return found;
  });
  return count > 0 ? ({ count, tone: "work" } as const) : null;
}

/** How many problems there are: errors, else warnings. */
export function useProblemCount() {
  const current = useWorkspace((state) => state.current);
  const errors = usePlan((state) => (current && state.ofTab.get(current)?.problems.filter(({ severity }) => severity === "error").length) || 0);
  const all = usePlan((state) => (current && state.ofTab.get(current)?.problems.length) || 0);
  return errors > 0 ? ({ count: errors, tone: "failed" } as const) : { count: all };
}
