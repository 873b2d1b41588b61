/** The open tabs: their documents with history, where the reader is, and what is chosen. */
import { create } from "zustand";
import { History } from "../document/history";
import { own } from "../document/objects";
import { type Attempt, type Document, isRefusal, type Place } from "../document/types";
import { useNotices } from "./notices";
import { newId } from "./ids";
import type { SeedPolicy, Tab, TrailStep, Viewport } from "./types";

export interface OpenOptions {
  readonly name?: string | null;
  readonly etag?: string;
  /** The text that the server has, with its etag. */
  readonly text?: string;
  readonly title?: string;
  readonly view?: "graph" | "app";
  /** Opened behind the one that is shown. */
  readonly behind?: boolean;
  /** Kept fields of a draft. */
  readonly draft?: Partial<Tab>;
}

export interface Workspace {
  readonly tabs: readonly Tab[];
  readonly current: string | null;
  /** Drafts were looked for: what was open is open again. */
  readonly ready: boolean;
  open(document: Document, options?: OpenOptions): string;
  close(id: string): void;
  choose(id: string): void;
  /** Moves a tab before another one, or to the end. */
  moveTab(id: string, before: string | null): void;
  /** Does an edit in the current tab. False, and a sentence for the reader, when it cannot be done. */
  edit(attempt: Attempt, options?: { merge?: string; tab?: string }): boolean;
  undo(tab?: string): void;
  redo(tab?: string): void;
  /** Chooses nodes (and what else has an id) in the place that is shown. */
  select(ids: Iterable<string>, focus?: string | null): void;
  setFocus(id: string | null): void;
  /** Goes into the definition that a node uses. */
  enter(use: string): void;
  /** Goes one step out, or to a depth: 0 is the root. */
  leave(to?: number): void;
  setView(view: "graph" | "app", tab?: string): void;
  setViewport(viewport: Viewport): void;
  setSeedPolicy(nodeInput: string, policy: SeedPolicy, tab?: string): void;
  /** For the other stores: changes fields of a tab. */
  patch(id: string, change: Partial<Tab>): void;
}

const NONE: ReadonlySet<string> = new Set();

export const useWorkspace = create<Workspace>((set, get) => {
  const patch = (id: string, change: Partial<Tab> | ((tab: Tab) => Partial<Tab>)) =>
    set((state) => ({
      tabs: state.tabs.map((tab) => {
        if (tab.id !== id) return tab;
        return { ...tab, ...(typeof change === "function" ? change(tab) : change) };
      }),
    }));
  const here = (id?: string) => get().tabs.find((tab) => tab.id === (id ?? get().current));
  const changed = (id: string, history: History) =>
    patch(id, (tab) => ({ history, unsaved: true, title: titleOf(history.document, tab.name, tab.given), ...pruned(tab, history.document) }));

  return {
    tabs: [],
    current: null,
    ready: false,
    open(document, options = {}) {
      const id = options.draft?.id ?? newId();
      const name = options.name ?? null;
      const saved = options.etag && options.text !== undefined ? { etag: options.etag, text: options.text } : null;
      const tab: Tab = {
        id,
        name,
        title: options.title ?? titleOf(document, name),
        ...(options.title !== undefined && { given: options.title }),
        history: History.of(document),
        trail: [],
        selected: NONE,
        focus: null,
        viewports: new Map(),
        saved,
        unsaved: saved === null,
        conflict: null,
        live: false,
        view: options.view ?? "graph",
        seeds: new Map(),
        usedSeeds: new Map(),
        jobs: [],
        ...options.draft,
      };
      set((state) => ({ tabs: [...state.tabs, tab], current: options.behind && state.current ? state.current : id }));
      return id;
    },
    close(id) {
      set((state) => {
        const index = state.tabs.findIndex((tab) => tab.id === id);
        const tabs = state.tabs.filter((tab) => tab.id !== id);
        const next = tabs[Math.min(Math.max(index, 0), tabs.length - 1)]?.id ?? null;
        return { tabs, current: state.current === id ? next : state.current };
      });
    },
    choose(id) {
      if (here(id)) set({ current: id });
    },
    moveTab(id, before) {
      set((state) => {
        const moved = state.tabs.find((tab) => tab.id === id);
        if (!moved || id === before) return {};
        const rest = state.tabs.filter((tab) => tab.id !== id);
        const at = before === null ? rest.length : rest.findIndex((tab) => tab.id === before);
        return { tabs: rest.toSpliced(at < 0 ? rest.length : at, 0, moved) };
      });
    },
    edit(attempt, options = {}) {
      const tab = here(options.tab);
      if (!tab) return false;
      if (isRefusal(attempt)) {
        useNotices.getState().tell(attempt.refused);
        return false;
      }
      const history = tab.history.do(attempt, options.merge === undefined ? {} : { merge: options.merge });
      if (history !== tab.history) changed(tab.id, history);
      return true;
    },
    undo(id) {
      const tab = here(id);
      if (!tab?.history.canUndo) return;
      useNotices.getState().tell(`undone: ${tab.history.undoLabel}`);
      changed(tab.id, tab.history.undo());
    },
    redo(id) {
      const tab = here(id);
      if (!tab?.history.canRedo) return;
      useNotices.getState().tell(`done again: ${tab.history.redoLabel}`);
      changed(tab.id, tab.history.redo());
    },
    select(ids, focus) {
      const tab = here();
      if (!tab) return;
      const selected = new Set(ids);
      const same = selected.size === tab.selected.size && [...selected].every((id) => tab.selected.has(id));
      if (same && (focus === undefined || focus === tab.focus)) return;
      patch(tab.id, { ...(!same && { selected }), ...(focus !== undefined && { focus }) });
    },
    setFocus(id) {
      const tab = here();
      if (tab && tab.focus !== id) patch(tab.id, { focus: id });
    },
    enter(use) {
      const tab = here();
      if (!tab) return;
      const document = tab.history.document;
      const type = own(nodesAt(document, placeOf(tab)), use)?.type;
      if (typeof type !== "string" || !own(document.definitions, type)) return;
      if (tab.trail.some((step) => step.definition === type)) return;
      patch(tab.id, { trail: [...tab.trail, { definition: type, use }], selected: NONE, focus: null });
    },
    leave(to) {
      const tab = here();
      if (!tab || tab.trail.length === 0) return;
      const depth = Math.max(0, Math.min(to ?? tab.trail.length - 1, tab.trail.length));
      const left = tab.trail[depth];
      const selected = left ? new Set([left.use]) : tab.selected;
      patch(tab.id, { trail: tab.trail.slice(0, depth), selected, focus: left?.use ?? tab.focus });
    },
    setView(view, id) {
      const tab = here(id);
      if (tab && tab.view !== view) patch(tab.id, { view });
    },
    setViewport(viewport) {
      const tab = here();
      if (!tab) return;
      patch(tab.id, { viewports: new Map(tab.viewports).set(placeOf(tab) ?? "", viewport) });
    },
    setSeedPolicy(nodeInput, policy, id) {
      const tab = here(id);
      if (tab) patch(tab.id, { seeds: new Map(tab.seeds).set(nodeInput, policy) });
    },
    patch,
  };
});

/** The tab of an id; without one, that which is shown. */
export function tabOf(id?: string | null): Tab | undefined {
  const { tabs, current } = useWorkspace.getState();
  return tabs.find((tab) => tab.id === (id ?? current));
}

/** Which graph of its document a tab shows. */
export function placeOf(tab: Tab): Place {
  return tab.trail.at(-1)?.definition ?? null;
}

/** A node's id as it is in a run: `use/inner` inside a definition that was entered through `use`. */
export function runId(tab: Tab, id: string): string {
  return [...tab.trail.map((step) => step.use), id].join("/");
}

/** What a document is called. */
export function titleOf(document: Document, name: string | null, given = "untitled"): string {
  const title = document.meta && own(document.meta, "title");
  return name ?? (typeof title === "string" && title.trim() ? title.trim() : given);
}

/** The nodes of a place; of one that is not there, none. */
export function nodesAt(document: Document, place: Place): Document["nodes"] {
  return place === null ? document.nodes : (own(document.definitions, place)?.nodes ?? {});
}

/** What a tab's trail, choice and focus are after a change: what is gone is not pointed at. */
function pruned(tab: Tab, document: Document): Pick<Tab, "trail" | "selected" | "focus"> {
  const lost = tab.trail.findIndex((step) => !own(document.definitions, step.definition));
  const trail: readonly TrailStep[] = lost < 0 ? tab.trail : tab.trail.slice(0, lost);
  if (lost >= 0) return { trail, selected: NONE, focus: null };
  const nodes = nodesAt(document, trail.at(-1)?.definition ?? null);
  // Groups, notes and the like begin with `#`; what is chosen of them and gone is drawn by nobody.
  const there = (id: string) => id.startsWith("#") || own(nodes, id) !== undefined;
  const selected = [...tab.selected].every(there) ? tab.selected : new Set([...tab.selected].filter(there));
  return { trail, selected, focus: tab.focus === null || there(tab.focus) ? tab.focus : null };
}
