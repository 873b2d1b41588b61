/** Drafts: each tab is kept in the browser at each edit, and is open again after the tab, the browser or the server died. */
import { documentText, parseDocument } from "../document/text";
import { type Draft, dropDraft, drafts, saveDraft } from "../service/drafts";
import { words } from "../service/refused";
import { giveToTab } from "./runs";
import { newId } from "./ids";
import { useNotices } from "./notices";
import type { Tab } from "./types";
import { titleOf, useWorkspace } from "./workspace";

/** Edits of so many milliseconds are kept together. */
const PAUSE = 100;
const OWNER = "weft.page";

let owner = "";
let release: (() => void) | null = null;
const kept = new Map<string, Tab>();
/** So many drafts of closed tabs are kept. */
const MOST_CLOSED = 30;

/** When the drafts that this page found were changed last, by their tabs: for what is newer, they or the files. */
export const restored = new Map<string, number>();
let timer: ReturnType<typeof setTimeout> | null = null;
let writing: Promise<void> | null = null;

/** A page has a name and a lock of that name: what belongs to a page that is gone may be taken over. */
async function own(): Promise<Set<string>> {
  const locks = typeof navigator === "undefined" ? undefined : navigator.locks;
  const query = await locks?.query().catch(() => undefined);
  const alive = new Set((query?.held ?? []).map((lock) => lock.name ?? ""));
  let name = "";
  try {
    name = sessionStorage.getItem(OWNER) ?? "";
  } catch {
    // No session is remembered here.
  }
  // A page that was duplicated has the other's name, and the other lives.
  owner = name && !alive.has(name) ? name : `${OWNER}-${newId()}`;
  try {
    sessionStorage.setItem(OWNER, owner);
  } catch {
    // As above.
  }
  void locks?.request(owner, () => new Promise<void>((done) => void (release = done))).catch(() => {});
  return alive;
}

/** Opens what was open, and keeps what is edited from now on. */
export async function restoreDrafts(): Promise<number> {
  const alive = await own();
  let found: Draft[] = [];
  try {
    found = (await drafts()).filter((draft) => !draft.closed && (draft.owner === owner || !alive.has(draft.owner)));
  } catch (error) {
    useNotices.getState().say({ id: "drafts", kind: "warn", head: "No drafts.", text: words(error) });
  }
  let current: string | null = null;
  for (const draft of found) {
    if (!reopen(draft)) continue;
    restored.set(draft.id, draft.changed);
    if (draft.current) current = draft.id;
  }
  useWorkspace.setState((state) => ({ ready: true, current: current ?? state.current }));
  return found.length;
}

/** Drafts that are not open here: of tabs that were closed unsaved, and of other windows; the newest first. */
export async function otherDrafts(): Promise<Draft[]> {
  const open = new Set(useWorkspace.getState().tabs.map(({ id }) => id));
  const found = (await drafts()).filter((draft) => !open.has(draft.id));
  return found.sort((a, b) => b.changed - a.changed);
}

/** Opens a draft again; one that another window has open comes as a copy, since two windows may not write one draft. */
export function openDraft(draft: Draft): boolean {
  useNotices.getState().close(`closed-${draft.id}`);
  if (useWorkspace.getState().tabs.some(({ id }) => id === draft.id)) {
    useWorkspace.getState().choose(draft.id);
    return true;
  }
  return reopen(draft.closed ? draft : { ...draft, id: newId(), jobs: [] });
}

function reopen(draft: Draft): boolean {
  const read = parseDocument(draft.text);
  if (!("document" in read)) return false; // it stays in the data base, and is no reason to lose it
  const { id, name, given, saved, jobs, view } = draft;
  const unsaved = saved === null || saved.text !== draft.text;
  const usedSeeds = new Map(draft.usedSeeds ?? []);
  useWorkspace.getState().open(read.document, {
    name,
    view,
    draft: { id, saved, unsaved, jobs, seeds: new Map(draft.seeds), usedSeeds, ...(given !== undefined && { given, title: titleOf(read.document, name, given) }) },
  });
  for (const job of [...jobs].reverse()) giveToTab(job, id);
  return true;
}

/** Keeps the tabs as they are edited. */
export function watchDrafts(): () => void {
  const stop = useWorkspace.subscribe((now, before) => {
    if (now.tabs === before.tabs && now.current === before.current) return;
    for (const tab of before.tabs) {
      if (now.tabs.some(({ id }) => id === tab.id)) continue;
      kept.delete(tab.id);
      restored.delete(tab.id);
      void retire(tab).catch(() => {});
    }
    timer ??= setTimeout(() => void keepNow(), PAUSE);
  });
  const hidden = () => {
    if (document.visibilityState === "hidden") void keepNow();
  };
  const gone = () => void keepNow();
  globalThis.document?.addEventListener("visibilitychange", hidden);
  globalThis.window?.addEventListener("pagehide", gone);
  return () => {
    stop();
    globalThis.document?.removeEventListener("visibilitychange", hidden);
    globalThis.window?.removeEventListener("pagehide", gone);
    if (timer !== null) clearTimeout(timer);
    timer = null;
    release?.();
  };
}

/** Keeps what was changed; it is on disk when this gives. */
export async function keepNow(): Promise<void> {
  if (timer !== null) clearTimeout(timer);
  timer = null;
  while (writing) await writing;
  writing = write().finally(() => {
    writing = null;
  });
  await writing;
}

/** A tab was closed: what no server has of it is kept for a while, the rest goes. */
async function retire(tab: Tab): Promise<void> {
  if (!tab.unsaved || Object.keys(tab.history.document.nodes).length === 0) return dropDraft(tab.id);
  await saveDraft({ ...draftOf(tab, 0, false), closed: true });
  const old = (await drafts()).filter((draft) => draft.closed).sort((a, b) => b.changed - a.changed);
  for (const { id } of old.slice(MOST_CLOSED)) await dropDraft(id);
}

function draftOf(tab: Tab, place: number, current: boolean): Draft {
  const { id, name, given, saved, jobs, seeds, usedSeeds, view } = tab;
  return { id, name, ...(given !== undefined && { given }), text: textOf(tab), saved, jobs, seeds: [...seeds], usedSeeds: [...usedSeeds], view, place, current, changed: Date.now(), owner };
}

async function write(): Promise<void> {
  const { tabs, current } = useWorkspace.getState();
  for (const [place, tab] of tabs.entries()) {
    const before = kept.get(tab.id);
    if (before && same(before, tab) && place === places.get(tab.id) && (current === tab.id) === (shown === tab.id)) continue;
    const text = textOf(tab);
    const unsaved = tab.saved === null || tab.saved.text !== text;
    if (unsaved !== tab.unsaved) useWorkspace.getState().patch(tab.id, { unsaved });
    try {
      await saveDraft(draftOf(tab, place, current === tab.id));
      if (useWorkspace.getState().tabs.some(({ id }) => id === tab.id)) kept.set(tab.id, { ...tab, unsaved });
      else await retire(tab); // it was closed meanwhile
      places.set(tab.id, place);
      useNotices.getState().close("drafts");
    } catch (error) {
      const text = `${words(error)} Save to the server, or copy the workflow: what is edited now is lost with the page.`;
      useNotices.getState().say({ id: "drafts", kind: "warn", head: "The browser keeps no draft.", text });
    }
  }
  shown = current;
}

const places = new Map<string, number>();
let shown: string | null = null;

function same(a: Tab, b: Tab): boolean {
  return (
    a.history.document === b.history.document &&
    a.name === b.name &&
    a.saved === b.saved &&
    a.jobs === b.jobs &&
    a.seeds === b.seeds &&
    a.usedSeeds === b.usedSeeds &&
    a.view === b.view
  );
}

const texts = new WeakMap<object, string>();

/** A tab's document as text, written once for each that there was. */
export function textOf(tab: Tab): string {
  const { document } = tab.history;
  let text = texts.get(document);
  if (text === undefined) {
    text = documentText(document);
    texts.set(document, text);
  }
  return text;
}
