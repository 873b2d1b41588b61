/** Workflows come into tabs: saved ones, examples, files, what a job ran. */
import type { Document } from "../document/types";
import { emptyDocument, parseDocument } from "../document/text";
import { api } from "../service/api";
import { words } from "../service/refused";
import { offerClosedDraft } from "./newer";
import { say, useNotices } from "./notices";
import { type OpenOptions, useWorkspace } from "./workspace";

/** An empty workflow in a new tab. */
export function openEmpty(): string {
  return useWorkspace.getState().open(emptyDocument());
}

/** A text as a new tab; a text that is no workflow says where it is wrong. */
export function openText(text: string, options: OpenOptions = {}, from = "The text"): string | null {
  const read = parseDocument(text);
  if ("document" in read) return useWorkspace.getState().open(read.document, options);
  const place = read.line === undefined ? "" : ` Line ${read.line}, column ${read.column ?? 1}.`;
  useNotices.getState().say({ id: "open", kind: "failed", head: `${from} cannot be opened.`, text: read.problem + place });
  return null;
}

/** A saved workflow; one that is open already is shown. */
export async function openSaved(name: string, view?: "graph" | "app", version?: string): Promise<string | null> {
  const { tabs, choose, setView } = useWorkspace.getState();
  const open = version === undefined ? tabs.find((tab) => tab.name === name) : undefined;
  if (open) {
    choose(open.id);
    if (view) setView(view, open.id);
    return open.id;
  }
  return attempt(name, async () => {
    const { text, etag } = await api.workflow(name, version);
    const options = version === undefined ? { name, etag, text } : { title: `${name}, version ${version}` };
    const id = openText(text, { ...options, ...(view && { view }) }, name);
    if (id && version === undefined) void offerClosedDraft(name);
    return id;
  });
}

/** A copy of an example. */
export async function openExample(name: string): Promise<string | null> {
  return attempt(name, async () => openText(await api.example(name), {}, name));
}

/** The workflow that a job ran, with the job's pictures. */
export async function openJob(job: string): Promise<string | null> {
  return attempt("The workflow", async () => openText(await api.jobWorkflow(job), {}, "The workflow"));
}

/** A file that was chosen or dropped: a workflow, or a picture with one inside. */
export async function openFile(file: File): Promise<string | null> {
  return attempt(file.name, async () => {
    const title = file.name.replace(/\.[^.]*$/, "");
    if (/\.json$/i.test(file.name) || file.type === "application/json") {
      const text = await file.text();
      const read = parseDocument(text);
      if ("document" in read) return openDocument(read.document, title);
      // Of another program, perhaps: the server knows more kinds.
      const kind = new Blob([text], { type: "application/json" });
      const found = await api.import(kind).catch(() => null);
      return found ? imported(found.text, found.notes, title) : openText(text, {}, file.name);
    }
    const { text, notes } = await api.import(file);
    return imported(text, notes, title);
  });
}

function imported(text: string, notes: readonly string[], title: string): string | null {
  const read = parseDocument(text);
  const id = "document" in read ? openDocument(read.document, title) : openText(text, {}, title);
  if (id && notes.length > 0) {
    useNotices.getState().say({ id: `import-${id}`, kind: "info", head: `${title} was brought over.`, text: notes.join(" ") });
  }
  return id;
}

function openDocument(document: Document, title: string): string {
  const named = typeof document.meta?.title === "string" && document.meta.title !== "";
  return useWorkspace.getState().open(document, named ? {} : { title });
}

async function attempt(what: string, work: () => Promise<string | null>): Promise<string | null> {
  try {
    const id = await work();
    if (id) useNotices.getState().close("open");
    return id;
  } catch (error) {
    useNotices.getState().say({ id: "open", kind: "failed", head: `${what} cannot be opened.`, text: words(error) });
    say(`${what} cannot be opened.`);
    return null;
  }
}
