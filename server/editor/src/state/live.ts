/** Live: an edit runs at once, in the tab's slot. A newer run cancels the tab's own earlier one, and no other. */
import { run } from "./actions";
import { sameContent } from "./context";
import { say, useNotices } from "./notices";
import { planNow } from "./planner";
import { planOf } from "./plans";
import { shownRun } from "./runs";
import { tabOf, useWorkspace } from "./workspace";
import type { Document } from "../document/types";

const PAUSE = 300;
/** Edits that go on for longer than this are run on the way: a long drag would show nothing else. */
const LONGEST = 600;
/** Beyond so many expected seconds the reader is asked, once for each time that live is turned on. */
const LONG = 20;

interface Live {
  timer: ReturnType<typeof setTimeout> | null;
  since: number | null;
  asked: "no" | "waits" | "yes";
  /** What ran last, or is to run. */
  ran: Document | null;
}

const tabs = new Map<string, Live>();

/** Turns live on or off. */
export function setLive(id: string | undefined, on: boolean): void {
  const tab = tabOf(id);
  if (!tab || tab.live === on) return;
  useWorkspace.getState().patch(tab.id, { live: on });
  useNotices.getState().close(`live-${tab.id}`);
  say(on ? "Live is on: each edit runs." : "Live is off.");
  if (on) {
    tabs.set(tab.id, { timer: null, since: null, asked: "no", ran: null });
    soon(tab.id, 0);
  } else drop(tab.id);
}

/** Runs tabs that are live when they are edited. */
export function watchLive(): () => void {
  const stop = useWorkspace.subscribe((now, before) => {
    if (now.tabs === before.tabs) return;
    const past = new Map(before.tabs.map((tab) => [tab.id, tab]));
    for (const tab of now.tabs) {
      if (!tab.live) continue;
      const was = past.get(tab.id)?.history.document;
      if (was && was !== tab.history.document && !sameContent(was, tab.history.document)) soon(tab.id, PAUSE);
    }
    for (const id of tabs.keys()) if (!now.tabs.some((tab) => tab.id === id)) drop(id);
  });
  return () => {
    stop();
    for (const id of [...tabs.keys()]) drop(id);
  };
}

function drop(id: string): void {
  const live = tabs.get(id);
  if (live?.timer) clearTimeout(live.timer);
  tabs.delete(id);
}

function soon(id: string, pause: number): void {
  const live = tabs.get(id) ?? { timer: null, since: null, asked: "no" as const, ran: null };
  tabs.set(id, live);
  const now = Date.now();
  live.since ??= now;
  if (live.timer) clearTimeout(live.timer);
  const wait = Math.max(0, Math.min(pause, live.since + LONGEST - now));
  live.timer = setTimeout(() => {
    live.timer = null;
    live.since = null;
    void go(id, live);
  }, wait);
}

async function go(id: string, live: Live): Promise<void> {
  const document = tabOf(id)?.history.document;
  if (!document || (live.ran && sameContent(live.ran, document))) return;
  const plan = planOf(id);
  if (plan.asked !== "known" || !sameContent(plan.about, document)) await planNow(id);
  const now = tabOf(id);
  if (!now?.live || tabs.get(id) !== live || now.history.document.nodes !== document.nodes) return;
  // Another look at the same document may have been quicker.
  if (live.ran && sameContent(live.ran, document)) return;
  const { problems, seconds, counts, asked } = planOf(id);
  if (asked === "failed" || problems.some((problem) => problem.severity === "error")) return;
  // What is all there already need not run, once its pictures are shown.
  if (counts.run === 0 && shownRun(id) !== undefined && sameContent(shownRun(id)?.document, document)) return;
  if (live.asked !== "yes" && seconds !== null && seconds > LONG) {
    if (live.asked === "no") question(id, live, seconds);
    return;
  }
  live.ran = document;
  await run(id, { slot: `live-${id}` });
}

function question(id: string, live: Live, seconds: number): void {
  live.asked = "waits";
  const notice = `live-${id}`;
  useNotices.getState().say({
    id: notice,
    kind: "info",
    head: `A live run takes about ${Math.round(seconds)} s.`,
    text: "Run after each edit all the same?",
    actions: [
      {
        label: "Run live",
        run: () => {
          live.asked = "yes";
          useNotices.getState().close(notice);
          soon(id, 0);
        },
      },
      { label: "Turn live off", run: () => setLive(id, false) },
    ],
  });
}
