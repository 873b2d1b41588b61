/** Drafts of open tabs in IndexedDB: what was edited outlives the tab, the browser and the server. */

/** A tab as it is kept. The text is the document's; nothing of a server is needed to open it again. */
export interface Draft {
  readonly id: string;
  readonly name: string | null;
  readonly given?: string;
  readonly text: string;
  /** What the server had when the tab was opened or saved. */
  readonly saved: { readonly etag: string; readonly text: string } | null;
  readonly jobs: readonly string[];
  readonly seeds: readonly (readonly [string, "keep" | "next" | "random"])[];
  readonly usedSeeds?: readonly (readonly [string, readonly number[]])[];
  readonly view: "graph" | "app";
  /** Where the tab stands among the others. */
  readonly place: number;
  readonly current: boolean;
  /** Milliseconds since 1970. */
  readonly changed: number;
  /** Which page has it open, so that two pages do not write one draft. */
  readonly owner: string;
  /** Its tab was closed with changes that no server has: it can be opened again, and is not by itself. */
  readonly closed?: boolean;
}

const BASE = "weft-editor";
const DRAFTS = "drafts";
const POSTS = "posts";

let opened: Promise<IDBDatabase> | null = null;

function base(): Promise<IDBDatabase> {
  opened ??= new Promise<IDBDatabase>((give, fail) => {
    const request = indexedDB.open(BASE, 1);
    request.onupgradeneeded = () => {
      request.result.createObjectStore(DRAFTS, { keyPath: "id" });
      request.result.createObjectStore(POSTS, { keyPath: "key" });
    };
    request.onsuccess = () => {
      // Another page with a newer version may not have to wait for this one.
      request.result.onversionchange = () => {
        request.result.close();
        opened = null;
      };
      give(request.result);
    };
    request.onerror = () => fail(request.error ?? new Error("The browser keeps no drafts."));
  });
  opened.catch(() => {
    opened = null;
  });
  return opened;
}

async function act<T>(store: string, mode: IDBTransactionMode, work: (store: IDBObjectStore) => IDBRequest<T>): Promise<T> {
  const transaction = (await base()).transaction(store, mode);
  const request = work(transaction.objectStore(store));
  return new Promise<T>((give, fail) => {
    transaction.oncomplete = () => give(request.result);
    transaction.onabort = () => fail(transaction.error ?? new Error("The browser does not keep the draft."));
    transaction.onerror = () => fail(transaction.error ?? new Error("The browser does not keep the draft."));
  });
}

/** Keeps a draft; it is on disk when this gives. */
export async function saveDraft(draft: Draft): Promise<void> {
  await act(DRAFTS, "readwrite", (store) => store.put(draft));
}

/** All drafts, in the order of their tabs. */
export async function drafts(): Promise<Draft[]> {
  const found = await act<Draft[]>(DRAFTS, "readonly", (store) => store.getAll());
  return found.sort((a, b) => a.place - b.place || a.changed - b.changed);
}

export async function dropDraft(id: string): Promise<void> {
  await act(DRAFTS, "readwrite", (store) => store.delete(id));
}

/** A run that could not be asked for, to be asked for again with the same key. */
export interface Post {
  readonly key: string;
  readonly tab: string;
  readonly body: unknown;
  readonly time: number;
}

export async function savePost(post: Post): Promise<void> {
  await act(POSTS, "readwrite", (store) => store.put(post));
}

export async function posts(): Promise<Post[]> {
  const found = await act<Post[]>(POSTS, "readonly", (store) => store.getAll());
  return found.sort((a, b) => a.time - b.time);
}

export async function dropPost(key: string): Promise<void> {
  await act(POSTS, "readwrite", (store) => store.delete(key));
}

/** For tests: forgets the connection to the data base. */
export async function closeDrafts(): Promise<void> {
  const before = opened;
  opened = null;
  (await before)?.close();
}
