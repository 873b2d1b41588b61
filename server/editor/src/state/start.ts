/** The page begins: it logs in, opens what was open, connects, and follows what happens. */
import { api } from "../service/api";
import { type Connection, connectionHere } from "../service/events";
import { Refused } from "../service/refused";
import { logIn } from "../service/session";
import type { Job, JobEvent, ServerEvent } from "../service/types";
import { parseDocument } from "../document/text";
import { countWaiting, followJobsBy, sendWaiting } from "./actions";
import { announce, watchProblems } from "./announce";
import { keepAskingNodes, refreshAll } from "./catalogue";
import { useConnection } from "./connection";
import { restoreDrafts, watchDrafts } from "./keeping";
import { watchLive } from "./live";
import { tellNewerDrafts } from "./newer";
import { say, useNotices } from "./notices";
import { openSaved } from "./opening";
import { planAgain, readyForSilence, watchPlans } from "./planner";
import { ended } from "./reduce";
import { dropOldPreviews, flushEvents, forgetJob, serverNow, takeEvent, takeJob, useRuns } from "./runs";
import { saveWaiting, workflowChanged } from "./saving";
import { counted } from "./words";
import { useWorkspace } from "./workspace";

const ENDS = new Set(["job_finished", "job_failed", "job_cancelled"]);

/** Begins everything; gives what ends it. */
export async function start(): Promise<() => void> {
  const locked = (await logIn().catch(() => "none" as const)) === "wrong";
  useConnection.setState({ locked });
  // Not only once the socket is open: cards can be drawn without it.
  if (!locked) keepAskingNodes().catch(() => {});
  await restoreDrafts();
  const stops = [watchDrafts(), watchPlans(), watchLive(), watchProblems(), watchClosing()];
  await countWaiting();
  const connection = connectionHere(api.alive);
  stops.push(follow(connection));
  connection.start();
  const online = () => connection.tryNow();
  // Clocks of a hidden page are slowed down: who comes back to it does not wait.
  const seen = () => {
    if (document.visibilityState === "visible" && useConnection.getState().retryAt !== null) connection.tryNow();
  };
  window.addEventListener("online", online);
  document.addEventListener("visibilitychange", seen);
  await route();
  return () => {
    window.removeEventListener("online", online);
    document.removeEventListener("visibilitychange", seen);
    for (const stop of stops) stop();
    connection.end();
  };
}

/** A tab that is closed shows no pictures any more. */
function watchClosing(): () => void {
  return useWorkspace.subscribe((now, before) => {
    if (now.tabs.length < before.tabs.length) dropPreviewsNow();
  });
}

/** `/app/name` is the app view of a saved workflow. */
export async function route(path: string = location.pathname): Promise<void> {
  const found = /^\/app\/([^/]+)\/?$/.exec(path);
  if (!found?.[1]) return;
  let name = found[1];
  try {
    name = decodeURIComponent(name);
  } catch {
    // Taken as it stands.
  }
  await openSaved(name, "app");
}

/** Brings what a connection tells into the stores. */
export function follow(connection: Connection): () => void {
  followJobsBy((job) => connection.follow(job, useRuns.getState().jobs.get(job)?.next ?? 0));
  useConnection.setState({ tryNow: () => connection.tryNow() });
  let missed: Missed | null = null;
  return connection.listen({
    event(event) {
      missed?.heard(event);
      heard(event, connection);
    },
    preview: takeEvent,
    state(state, retryAt) {
      const before = useConnection.getState().state;
      useConnection.setState({ state, retryAt, ...(state !== before && { since: Date.now() }) });
      if (state === "lost" && before === "connected") say("The server is lost. Editing goes on.");
      if (state === "lost") {
        missed?.stop();
        void lookAtLock();
      }
      if (state !== "connected") return;
      if (before === "lost") missed = new Missed();
      void connected(connection);
    },
  });
}

/** A server that wants a token refuses the socket as if it were not there: another question tells which it is. */
async function lookAtLock(): Promise<void> {
  try {
    await api.queue();
  } catch (error) {
    if (error instanceof Refused && error.status === 401) useConnection.setState({ locked: true });
  }
}

/** So long after the last event of the past, there are no more. */
const SETTLED = 1000;

/** Counts what happened while the server was away: it comes in one go, between what happens now. */
class Missed {
  private count = 0;
  private timer: ReturnType<typeof setTimeout> | null = setTimeout(() => this.tell(), SETTLED);
  private readonly since = serverNow();

  heard(event: ServerEvent): void {
    if (this.timer === null || !("state" in event) || (event as JobEvent).time > this.since) return;
    this.count += 1;
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.tell(), SETTLED);
  }

  private tell(): void {
    this.timer = null;
    useConnection.setState({ caughtUp: this.count });
    say(`The server is back. ${this.count === 0 ? "Nothing was missed" : `${counted(this.count, "event")} caught up`}.`);
  }

  stop(): void {
    if (this.timer !== null) clearTimeout(this.timer);
    this.timer = null;
  }
}

/** The server is there, for the first time or again: everything that may have changed is asked for. */
async function connected(connection: Connection): Promise<void> {
  try {
    await refreshAll();
    useConnection.setState({ locked: false });
  } catch (error) {
    if (error instanceof Refused && error.status === 401) useConnection.setState({ locked: true });
  }
  await sendWaiting();
  await saveWaiting();
  tellNewerDrafts();
  await loadJobs(connection).catch(() => {});
  planAgain();
  await readyForSilence().catch(() => {});
}

/** The jobs that there are: those that wait and run are followed, and the last one of each tab is told again. */
export async function loadJobs(connection: Connection): Promise<void> {
  const before = useRuns.getState().jobs;
  const [{ jobs }, queue] = await Promise.all([api.jobs({ limit: 50 }), api.queue()]);
  flushEvents();
  useRuns.setState({ queue });
  const tabOfJob = new Map<string, string>();
  for (const [tab, list] of useRuns.getState().ofTab) for (const job of list) tabOfJob.set(job, tab);
  for (const job of [...jobs].reverse()) {
    const tab = tabOfJob.get(job.id);
    backInQueue(job, before.get(job.id)?.next);
    takeJob(job, tab === undefined ? {} : { tab });
    if (!ended(job)) connection.follow(job.id, useRuns.getState().jobs.get(job.id)?.next ?? 0);
  }
  // Those that we took for running and the list is too short for.
  for (const [id, info] of useRuns.getState().jobs) {
    if (ended(info.job) || jobs.some((job) => job.id === id)) continue;
    await api.job(id).then(takeJob, (error: unknown) => {
      if (error instanceof Refused && error.status === 404) forgetJob(id); // it is another server, or it was deleted
    });
  }
  await Promise.allSettled([...useRuns.getState().ofTab].map(([tab, list]) => loadLast(tab, list[0])));
}

/** A server that died has its jobs in the queue again. We know better than its answer only where events came since it was asked. */
function backInQueue(job: Job, next: number | undefined): void {
  const info = useRuns.getState().jobs.get(job.id);
  if (info?.job.state === "running" && job.state === "queued" && info.next === next) takeJob(job, { job });
}

/** The document and the events of a tab's last run, after the page was opened again. */
async function loadLast(tab: string, id: string | undefined): Promise<void> {
  if (id === undefined) return;
  const before = useRuns.getState().jobs.get(id);
  if (before?.document !== undefined) return;
  const job = before?.job ?? (await api.job(id));
  const read = parseDocument(await api.jobWorkflow(id));
  takeJob(job, { tab, ...("document" in read && { document: read.document }) });
  if (!ended(job)) return;
  const { events } = await api.jobEvents(id, useRuns.getState().jobs.get(id)?.next ?? 0);
  for (const event of events) takeEvent(event);
}

function heard(event: ServerEvent, connection: Connection): void {
  switch (event.event) {
    case "queue":
      useRuns.setState(({ queue }) => ({ queue: { ...queue, ...(event as typeof queue) } }));
      positionsSoon();
      return;
    case "catalogue":
      void keepAskingNodes().then(planAgain, () => {});
      return;
    case "workflow": {
      const { name, etag } = event as { name: string; etag: string | null };
      workflowChanged(name, etag);
      return;
    }
    default:
      heardOfJob(event as JobEvent, connection);
  }
}

function heardOfJob(event: JobEvent, connection: Connection): void {
  const known = useRuns.getState().jobs.has(event.job);
  takeEvent(event);
  if (!known) void api.job(event.job).then(takeJob, () => {});
  announce(event);
  if (!ENDS.has(event.event)) return;
  // What ran is in the cache now: what is known of any tab's next run is out of date, and no moment longer shown.
  planAgain();
  flushEvents();
  connection.forget(event.job);
  void jobEnded(event.job);
}

/** Only what an open tab shows keeps its pictures. */
function dropPreviewsNow(): void {
  dropOldPreviews(useWorkspace.getState().tabs.map((tab) => tab.id));
}

/** Outputs stand in the job and not in its events. */
async function jobEnded(id: string): Promise<void> {
  await api.job(id).then(takeJob, () => {});
  const info = useRuns.getState().jobs.get(id);
  dropPreviewsNow();
  if (!info?.tab) return;
  if (info.job.state === "failed" && info.job.error) {
    const { error } = info.job;
    if (error.code === "worker_died" || error.node === "") {
      useNotices.getState().say({ id: `job-${id}`, kind: "failed", head: `Run ${info.number} failed.`, text: error.message });
    }
  }
}

let positions: ReturnType<typeof setTimeout> | null = null;

/** Where our jobs stand in the queue, at most twice a second. */
function positionsSoon(): void {
  positions ??= setTimeout(() => {
    positions = null;
    for (const [id, info] of useRuns.getState().jobs) {
      if (info.job.state === "queued" && info.tab !== null) void api.job(id).then(takeJob, () => {});
    }
  }, 500);
}
