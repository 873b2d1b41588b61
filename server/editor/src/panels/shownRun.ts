/** Which run the timeline shows: the tab's own, unless another one was asked for. */
import { create } from "zustand";
import { parseDocument } from "../document/text";
import { api } from "../service/api";
import { words } from "../service/refused";
import { useNotices } from "../state/notices";
import { showPanel } from "../state/preferences";
import { takeEvent, takeJob, useRuns } from "../state/runs";

/** The job that was asked for, with the tab that was shown then. */
export const useShown = create<{ readonly job: string | null }>(() => ({ job: null }));

/** Shows the timeline of a run; what this page has not seen of it is asked for. */
export function showTimelineOf(job: string): void {
  useShown.setState({ job });
  showPanel("bottom", "timeline");
  void loadRun(job);
}

/** The events and the document of a run, where they are not here. */
export async function loadRun(id: string): Promise<void> {
  const run = useRuns.getState().jobs.get(id);
  if (!run || (run.nodes.size > 0 && run.document !== undefined)) return;
  try {
    const read = parseDocument(await api.jobWorkflow(id));
    if ("document" in read) takeJob(run.job, { document: read.document });
    if (run.nodes.size > 0) return;
    const { events } = await api.jobEvents(id, run.next);
    for (const event of events) takeEvent(event);
  } catch (error) {
    useNotices.getState().say({ id: "timeline", kind: "warn", head: `Run ${run.number} cannot be read.`, text: words(error) });
  }
}
