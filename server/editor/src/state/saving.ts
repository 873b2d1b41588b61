/** Saving to the server. Nobody's work is written over unseen: who comes second sees both, and chooses. */
import { api } from "../service/api";
import { Refused, Unreachable, words } from "../service/refused";
import { refreshWorkflows, useCatalogue } from "./catalogue";
import { textOf } from "./keeping";
import { say, useNotices } from "./notices";
import { parseDocument } from "../document/text";
import { tabOf, titleOf, useWorkspace } from "./workspace";

/** Saves that wait for the server to come back, by tab. */
const waiting = new Map<string, string>();

/** Saves that the server was asked for, by name; it may tell of them before it answers. */
const underWay = new Map<string, number>();
/** What it told meanwhile: looked at when the answer is there, since only that says which etag is our own. */
const meanwhile = new Map<string, string | null>();

/** How differences are shown: the view that can do it says so here. */
let compare: ((tab: string) => void) | null = null;
export function compareConflictsBy(work: (tab: string) => void): void {
  compare = work;
}

export type Saved = "saved" | "unnamed" | "conflict" | "later" | "refused";

/**
 * Saves a tab under its name, or another one. A tab without a name is to be given one.
 *
 * `over` is the etag of what the reader agreed to write over under the other name; without it nothing is written over.
 */
export async function save(id?: string, as?: string, over?: string): Promise<Saved> {
  const tab = tabOf(id);
  if (!tab) return "refused";
  const name = as ?? tab.name;
  if (name === null || name === "") return "unnamed";
  const known = name === tab.name ? tab.saved?.etag : undefined;
  const etag = over ?? known ?? null;
  const text = textOf(tab);
  underWay.set(name, (underWay.get(name) ?? 0) + 1);
  try {
    const listed = await api.save(name, text, etag);
    waiting.delete(tab.id);
    const now = tabOf(tab.id);
    if (now) {
      const saved = { etag: listed.etag, text };
      const title = titleOf(now.history.document, name, now.given);
      useWorkspace.getState().patch(tab.id, { name, saved, title, unsaved: textOf(now) !== text, conflict: null });
    }
    useNotices.getState().close(`save-${tab.id}`);
    say(`saved as ${name}`);
    void refreshWorkflows().catch(() => {});
    return "saved";
  } catch (error) {
    if (error instanceof Refused && (error.status === 412 || error.status === 428)) {
      return conflict(tab.id, name, etag === null);
    }
    if (error instanceof Unreachable) {
      waiting.set(tab.id, name);
      const text = "The server does not answer. The draft is kept in this browser, and saved when the server is back.";
      useNotices.getState().say({ id: `save-${tab.id}`, kind: "warn", head: "Not saved yet.", text });
      return "later";
    }
    useNotices.getState().say({ id: `save-${tab.id}`, kind: "failed", head: "Not saved.", text: words(error) });
    return "refused";
  } finally {
    const left = (underWay.get(name) ?? 1) - 1;
    if (left > 0) underWay.set(name, left);
    else {
      underWay.delete(name);
      const told = meanwhile.get(name);
      meanwhile.delete(name);
      if (told !== undefined) workflowChanged(name, told);
    }
  }
}

/** Someone else saved meanwhile, or (`taken`) there is one of that name: both are kept until the reader has chosen. */
async function conflict(id: string, name: string, taken: boolean): Promise<Saved> {
  const theirs = await api.workflow(name).catch(() => null);
  const notice = `save-${id}`;
  const { say: show, close } = useNotices.getState();
  if (theirs === null) {
    show({ id: notice, kind: "failed", head: "Not saved.", text: `What the server has as ${name} cannot be read now.` });
    return "refused";
  }
  const tab = tabOf(id);
  if (!tab) return "refused";
  useWorkspace.getState().patch(id, { conflict: theirs });
  show({
    id: notice,
    kind: "warn",
    head: "Not saved.",
    text: taken
      ? `${name} is there already. Yours is here as a draft; nothing was written over.`
      : `${name} was saved by someone else meanwhile. Yours is here as a draft; nothing was written over.`,
    actions: [
      ...(compare ? [{ label: "What differs", run: () => compare?.(id) }] : []),
      {
        label: taken ? "Save over it (the version now stays as an earlier one)" : "Save mine over it",
        run: () => {
          const now = tabOf(id);
          if (!now?.conflict) return;
          useWorkspace.getState().patch(id, { name, saved: now.conflict, conflict: null });
          void save(id);
        },
      },
      { label: "Keep mine as a copy", run: () => void saveCopy(id, name) },
      {
        label: taken ? "Open the one there" : "Open theirs",
        run: () => {
          const read = parseDocument(theirs.text);
          if (!("document" in read)) return;
          useWorkspace.getState().open(read.document, { name, etag: theirs.etag, text: theirs.text });
          close(notice);
        },
      },
    ],
  });
  return "conflict";
}

/** A name near to one that no saved workflow has: "dome copy", "dome copy 2". */
export function freeName(name: string, taken: Iterable<string>): string {
  const names = new Set([...taken].map((one) => one.toLowerCase()));
  const base = `${cut(name, 88)} copy`;
  for (let number = 1; ; number += 1) {
    const free = number === 1 ? base : `${base} ${number}`;
    if (!names.has(free.toLowerCase())) return free;
  }
}

/** So much of a text as has so many bytes, by whole characters. */
function cut(text: string, most: number): string {
  let kept = text;
  while (new TextEncoder().encode(kept).length > most) kept = [...kept].slice(0, -1).join("");
  return kept.trim();
}

/** Saves a tab under a name of its own, beside the one that it does not write over. */
async function saveCopy(id: string, name: string): Promise<void> {
  await refreshWorkflows().catch(() => {});
  const { workflows } = useCatalogue.getState();
  await save(id, freeName(name, [name, ...workflows.map((listed) => listed.name)]));
}

/** Saves what could not be saved while the server was away. */
export async function saveWaiting(): Promise<void> {
  for (const [tab, name] of [...waiting]) {
    waiting.delete(tab);
    if (tabOf(tab)) await save(tab, name);
  }
}

/** A saved workflow became another one on the server. */
export function workflowChanged(name: string, etag: string | null): void {
  if (underWay.has(name)) {
    meanwhile.set(name, etag);
    return;
  }
  void refreshWorkflows().catch(() => {});
  for (const tab of useWorkspace.getState().tabs) {
    if (tab.name !== name || tab.saved === null || etag === null || tab.saved.etag === etag) continue;
    const { say: show, close } = useNotices.getState();
    const notice = `newer-${tab.id}`;
    show({
      id: notice,
      kind: "info",
      head: `${name} was saved elsewhere.`,
      text: tab.unsaved ? "This tab has changes of its own." : "This tab shows the one before.",
      actions: [
        { label: "Open the newer one", run: () => void reload(tab.id, name).then(() => close(notice)) },
        { label: "Keep this one", run: () => close(notice) },
      ],
    });
  }
}

/** What the server has comes into the tab; what was there can be brought back by undo only where nothing was unsaved. */
async function reload(id: string, name: string): Promise<void> {
  const theirs = await api.workflow(name);
  const read = parseDocument(theirs.text);
  const tab = tabOf(id);
  if (!tab || !("document" in read)) return;
  const { open, close } = useWorkspace.getState();
  open(read.document, { name, etag: theirs.etag, text: theirs.text, view: tab.view });
  if (!tab.unsaved) close(id);
}
