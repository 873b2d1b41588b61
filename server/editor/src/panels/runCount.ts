/** How many runs work or wait, on the panel's tab. */
import { ended } from "../state/reduce";
import { useRuns } from "../state/runs";

export function useRunCount() {
  const count = useRuns((state) => {
    let found = 0;
    for (const { job } of state.jobs.values()) if (!ended(job)) found += 1;
    return found;
  });
  return count > 0 ? ({ count, tone: "work" } as const) : null;
}
