/** What is done with saved workflows: rename, copy, delete. Nothing is written over. */
import { parseDocument, documentText } from "../document/text";
import { api } from "../service/api";
import { words } from "../service/refused";
import { refreshWorkflows } from "../state/catalogue";
import { say, useNotices } from "../state/notices";
import { titleOf, useWorkspace } from "../state/workspace";

async function attempt(what: string, work: () => Promise<void>): Promise<boolean> {
  try {
    await work();
    return true;
  } catch (error) {
    useNotices.getState().say({ id: "files", kind: "failed", head: `${what}.`, text: words(error) });
    return false;
  } finally {
    await refreshWorkflows().catch(() => {});
  }
}

/** Saves a copy under another name. The server refuses a name that is taken. */
export function copyWorkflow(name: string, to: string): Promise<boolean> {
  return attempt(`${name} was not copied`, async () => {
    const { text } = await api.workflow(name);
    await api.save(to, text, null);
    say(`${name} was copied to ${to}`);
  });
}

/** Renames: it is saved under the new name first, and only then is the old one deleted. */
export function renameWorkflow(name: string, to: string): Promise<boolean> {
  return attempt(`${name} was not renamed`, async () => {
    const { text, etag } = await api.workflow(name);
    const listed = await api.save(to, text, null);
    await api.deleteWorkflow(name, etag);
    for (const tab of useWorkspace.getState().tabs) {
      if (tab.name !== name) continue;
      const read = parseDocument(text);
      const saved = "document" in read ? { etag: listed.etag, text: documentText(read.document) } : tab.saved;
      useWorkspace.getState().patch(tab.id, { name: to, title: titleOf(tab.history.document, to), saved });
    }
    say(`${name} is ${to} now`);
  });
}

/** Deletes; what a tab shows of it stays there as a draft. */
export function deleteWorkflow(name: string): Promise<boolean> {
  return attempt(`${name} was not deleted`, async () => {
    const { etag } = await api.workflow(name);
    await api.deleteWorkflow(name, etag);
    for (const tab of useWorkspace.getState().tabs) {
      if (tab.name === name) useWorkspace.getState().patch(tab.id, { name: null, saved: null, unsaved: true });
    }
    say(`${name} was deleted`);
  });
}
