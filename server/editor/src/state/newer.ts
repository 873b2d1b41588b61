/** A draft that is newer than its file: the reader is told, and chooses. */
import { replaceDocument } from "../document/replace";
import { parseDocument } from "../document/text";
import { api } from "../service/api";
import type { Draft } from "../service/drafts";
import type { Listed } from "../service/types";
import { useCatalogue } from "./catalogue";
import { openDraft, otherDrafts, restored, textOf } from "./keeping";
import { useNotices } from "./notices";
import { ageWords } from "./words";
import { tabOf, useWorkspace } from "./workspace";

/** Of tabs that came back with the page: those whose draft has what the file has not. Once for each. */
export function tellNewerDrafts(): void {
  const { workflows } = useCatalogue.getState();
  for (const [id, changed] of restored) {
    const tab = tabOf(id);
    const file = tab && workflows.find(({ name }) => name === tab.name);
    if (!tab || !file) continue;
    restored.delete(id);
    if (!tab.unsaved || tab.saved?.text === textOf(tab)) continue;
    const notice = `draft-${id}`;
    const { say, close } = useNotices.getState();
    say({
      id: notice,
      kind: "info",
      text: draftWords(file, changed, tab.saved?.etag),
      actions: [
        { label: "Keep the draft", run: () => close(notice) },
        { label: "Open the file", run: () => void takeFile(id, file.name).then(() => close(notice)) },
      ],
    });
  }
}

/** "This draft of dome is 3 minutes newer than the file." */
export function draftWords(file: Pick<Listed, "name" | "modified" | "etag">, changed: number, etag?: string): string {
  const age = ageWords(changed / 1000 - file.modified);
  const order = changed / 1000 >= file.modified ? `${age} newer than the file` : `${ageWords(file.modified - changed / 1000)} older than the file`;
  const other = etag !== undefined && etag !== file.etag ? " The file was saved elsewhere meanwhile." : "";
  return `This draft of ${file.name} is ${order}.${other}`;
}

/** What the server has comes into the tab; undo brings the draft back. */
async function takeFile(id: string, name: string): Promise<void> {
  const { text, etag } = await api.workflow(name);
  const read = parseDocument(text);
  const tab = tabOf(id);
  if (!tab || !("document" in read)) return;
  useWorkspace.getState().edit(replaceDocument(tab.history.document, read.document, "open the file"), { tab: id });
  const now = tabOf(id);
  if (now) useWorkspace.getState().patch(id, { saved: { etag, text }, unsaved: textOf(now) !== text });
}

/** A saved workflow was opened: a draft of it that was closed unsaved, and is newer, is offered. */
export async function offerClosedDraft(name: string): Promise<void> {
  const file = useCatalogue.getState().workflows.find((listed) => listed.name === name);
  const found = (await otherDrafts().catch((): Draft[] => [])).find((draft) => draft.closed && draft.name === name);
  if (!file || !found || found.changed / 1000 < file.modified) return;
  const notice = `closed-draft-${name}`;
  const { say, close } = useNotices.getState();
  say({
    id: notice,
    kind: "info",
    text: `A draft of ${name} that was closed unsaved is ${ageWords(found.changed / 1000 - file.modified)} newer than the file.`,
    actions: [
      { label: "Open the draft", run: () => (openDraft(found), close(notice)) },
      { label: "Keep to the file", run: () => close(notice) },
    ],
  });
}
