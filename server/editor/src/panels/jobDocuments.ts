/** The workflows that jobs ran, each asked for once: pictures explain themselves by them. */
import { create } from "zustand";
import { parseDocument } from "../document/text";
import type { Document } from "../document/types";
import { api } from "../service/api";
import { useRuns } from "../state/runs";

/** By job; null where it cannot be had. */
const useDocuments = create<{ readonly of: ReadonlyMap<string, Document | null> }>(() => ({ of: new Map() }));
const asked = new Map<string, Promise<Document | null>>();
const MOST = 500;

/** The document of a job, from what this page ran or from the server. */
export function documentOfJob(job: string): Promise<Document | null> {
  const here = useRuns.getState().jobs.get(job)?.document as Document | undefined;
  if (here) return Promise.resolve(here);
  let found = asked.get(job);
  if (!found) {
    found = api.jobWorkflow(job).then(
      (text) => {
        const read = parseDocument(text);
        return "document" in read ? read.document : null;
      },
      () => null,
    );
    asked.set(job, found);
    if (asked.size > MOST) asked.delete(asked.keys().next().value ?? "");
    void found.then((document) => useDocuments.setState(({ of }) => ({ of: new Map([...of].slice(-MOST)).set(job, document) })));
  }
  return found;
}

/** The same in a component: undefined while it is on its way. */
export function useJobDocument(job: string | null | undefined): Document | null | undefined {
  const here = useRuns((state) => (job ? (state.jobs.get(job)?.document as Document | undefined) : undefined));
  const fetched = useDocuments((state) => (job ? state.of.get(job) : undefined));
  if (job && !here && fetched === undefined) void documentOfJob(job);
  return here ?? fetched;
}

/** All that are known now, for a search; those that are not are asked for. */
export function useJobDocuments(jobs: readonly string[], ask: boolean): ReadonlyMap<string, Document | null> {
  const of = useDocuments((state) => state.of);
  const here = useRuns((state) => state.jobs);
  const known = new Map<string, Document | null>();
  for (const job of jobs) {
    const document = (here.get(job)?.document as Document | undefined) ?? of.get(job);
    if (document !== undefined) known.set(job, document);
    else if (ask) void documentOfJob(job);
  }
  return known;
}
