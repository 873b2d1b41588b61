/** What is done with a tab's workflow: run it, stop it, run it again. */
import { order } from "../document/graph";
import { jsonText } from "../document/json";
import { own } from "../document/objects";
import type { Document } from "../document/types";
import { api, bodyOf } from "../service/api";
import { dropPost, posts, savePost } from "../service/drafts";
import { Refused, Unreachable, words } from "../service/refused";
import type { Job } from "../service/types";
import { newId } from "./ids";
import { say, useNotices } from "./notices";
import { planOf, usePlan } from "./plans";
import { ended } from "./reduce";
import { forgetJob, giveToTab, takeJob, useRuns } from "./runs";
import { advanceSeeds, rememberSeeds } from "./seeds";
import { tabOf, useWorkspace } from "./workspace";

/** Priorities by the names that the queue shows. */
export const PRIORITIES = { high: 10, normal: 0, low: -10 } as const;

export interface RunOptions {
  /** Nodes to run to, by id or `node.output`; none are all that the workflow makes. */
  readonly targets?: readonly string[];
  /** Before everything that waits. */
  readonly first?: boolean;
  /** In the tab's slot, so that it takes the place of its own earlier run. */
  readonly slot?: string;
  readonly tags?: readonly string[];
  /** Another document than the tab's, as a sweep's. */
  readonly document?: Document;
}

/** What jobs of a saved workflow are tagged with, so that their pictures are found again from any page. */
export function workflowTag(name: string): string {
  return [...`workflow ${name}`].slice(0, 64).join("");
}

/** Jobs are to be followed from their first event: the connection is told of each. */
let follow: (job: string) => void = () => {};
export function followJobsBy(work: (job: string) => void): void {
  follow = work;
}

/** Runs a tab's workflow. Without a server the run waits for it. Gives the job, or null where none was queued. */
export async function run(id?: string, options: RunOptions = {}): Promise<Job | null> {
  if (!tabOf(id)) return null;
  const tabId = tabOf(id)?.id ?? "";
  if (!options.document && !options.slot) advanceSeeds(tabId);
  const tab = tabOf(tabId);
  if (!tab) return null;
  const document = options.document ?? tab.history.document;
  rememberSeeds(tabId, document);
  const tags = [...(tab.name === null ? [] : [workflowTag(tab.name)]), ...(options.tags ?? [])];
  const body = bodyOf(jsonText(document), {
    ...(options.targets?.length && { targets: options.targets }),
    ...(options.first && { priority: PRIORITIES.high }),
    ...(options.slot && { slot: options.slot }),
    ...(tags.length > 0 && { tags }),
    title: [...tab.title].slice(0, 200).join(""),
  });
  const post = { key: newId(), tab: tabId, body, time: Date.now() };
  try {
    return queued(await api.run(body, post.key), tabId, document);
  } catch (error) {
    if (error instanceof Unreachable && !options.slot) {
      // It may have arrived: the same key asked again gives the same job and no second one.
      await savePost(post).catch(() => {});
      count(tabId, 1);
      say("The server does not answer. The run is queued as soon as it does.");
      return null;
    }
    refused(error, tabId);
    return null;
  }
}

/** Runs what the chosen nodes, or those that are named, need. */
export function runTo(ids: readonly string[], id?: string): Promise<Job | null> {
  return run(id, { targets: ids });
}

function queued(job: Job, tab: string, document: Document | undefined): Job {
  const plan = planOf(tab);
  const expected = new Map<string, number>();
  for (const [path, node] of plan.nodes) if (node.seconds !== undefined) expected.set(path, node.seconds);
  takeJob(job, {
    tab,
    expected,
    expectedSeconds: plan.seconds,
    ...(document !== undefined && { document }),
  });
  giveToTab(job.id, tab);
  const now = tabOf(tab);
  if (now) useWorkspace.getState().patch(tab, { jobs: [job.id, ...now.jobs.filter((other) => other !== job.id)].slice(0, 20) });
  follow(job.id);
  return job;
}

/** Says why nothing was queued, where the reader looks for it. */
function refused(error: unknown, tab: string): void {
  if (error instanceof Refused && error.problems.length > 0) {
    usePlan.getState().set(tab, { problems: error.problems, about: null });
    say(error.detail);
    return;
  }
  const wait = error instanceof Refused && error.retryAfter !== null ? ` It may be tried again in ${error.retryAfter} s.` : "";
  useNotices.getState().say({ id: `run-${tab}`, kind: "failed", head: "Not queued.", text: words(error) + wait });
}

/** Posts what could not be posted while the server was away. */
export async function sendWaiting(): Promise<void> {
  for (const post of await posts().catch(() => [])) {
    try {
      const job = await api.run(String(post.body), post.key);
      queued(job, post.tab, undefined);
    } catch (error) {
      if (error instanceof Unreachable) return;
      refused(error, post.tab);
    }
    await dropPost(post.key);
    count(post.tab, -1);
  }
}

/** How many runs of each tab wait for the server, after the page was opened. */
export async function countWaiting(): Promise<void> {
  const unsent = new Map<string, number>();
  for (const { tab } of await posts().catch(() => [])) unsent.set(tab, (unsent.get(tab) ?? 0) + 1);
  useRuns.setState({ unsent });
}

function count(tab: string, by: number): void {
  useRuns.setState(({ unsent }) => ({ unsent: new Map(unsent).set(tab, Math.max(0, (unsent.get(tab) ?? 0) + by)) }));
}

/** Jobs of a tab that wait or run, the newest first. */
export function activeJobs(tab: string): string[] {
  const { jobs, ofTab } = useRuns.getState();
  return (ofTab.get(tab) ?? []).filter((id) => {
    const info = jobs.get(id);
    return info !== undefined && !ended(info.job);
  });
}

/** Cancels what a tab runs; what only waits goes when nothing runs. */
export async function cancel(id?: string): Promise<void> {
  const tab = tabOf(id);
  if (!tab) return;
  const { jobs } = useRuns.getState();
  const active = activeJobs(tab.id);
  const running = active.filter((job) => jobs.get(job)?.job.state === "running");
  await Promise.all((running.length > 0 ? running : active).map(cancelJob));
}

export async function cancelJob(job: string): Promise<void> {
  await attempt(async () => void takeJob(await api.cancel(job)));
}

/** A new job of the same document: after a failure, or to go on after a cancel. */
export async function retry(job: string): Promise<Job | null> {
  const before = useRuns.getState().jobs.get(job);
  return attempt(async () => {
    const again = await api.retry(job);
    if (before?.tab) return queued(again, before.tab, before.document as Document | undefined);
    takeJob(again);
    follow(again.id);
    return again;
  });
}

/** Another place in the queue: a priority, or before another job. */
export async function moveJob(job: string, to: { priority: number } | { before: string }): Promise<void> {
  await attempt(async () => void takeJob(await api.moveJob(job, to)));
}

export async function deleteJob(job: string): Promise<void> {
  await attempt(async () => {
    await api.deleteJob(job);
    forgetJob(job);
  });
}

export async function pauseQueue(paused: boolean): Promise<void> {
  await attempt(async () => useRuns.setState({ queue: await api.pause(paused) }));
}

async function attempt<T>(work: () => Promise<T>): Promise<T | null> {
  try {
    return await work();
  } catch (error) {
    useNotices.getState().say({ id: "action", kind: "warn", text: words(error) });
    return null;
  }
}

/** The nodes of a tab's root in the order of a run. */
export function runOrder(document: Document): string[] {
  return order(document.nodes).filter((id) => own(document.nodes, id));
}
