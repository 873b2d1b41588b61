/** Closing a tab loses nothing: it can be brought back, with its history, until the page goes; saved ones from the server. */
import { useNotices } from "../state/notices";
import type { Tab } from "../state/types";
import { tabOf, useWorkspace } from "../state/workspace";

const closed: Tab[] = [];

export function closeTab(id?: string): void {
  const tab = tabOf(id);
  if (!tab) return;
  closed.push(tab);
  if (closed.length > 20) closed.shift();
  useWorkspace.getState().close(tab.id);
  const { say, close } = useNotices.getState();
  if (!tab.unsaved || Object.keys(tab.history.document.nodes).length === 0) return;
  const notice = `closed-${tab.id}`;
  say({
    id: notice,
    kind: "info",
    head: `${tab.title} is closed.`,
    text: "It had changes that are not saved on the server.",
    actions: [{ label: "Open it again", run: () => (reopenTab(tab.id), close(notice)) }],
  });
}

/** Opens the tab that was closed last, or one by its id, as it was. */
export function reopenTab(id?: string): boolean {
  const at = id === undefined ? closed.length - 1 : closed.findIndex((tab) => tab.id === id);
  const [tab] = closed.splice(at, at < 0 ? 0 : 1);
  if (!tab) return false;
  if (tabOf(tab.id)) {
    // It was opened from its draft meanwhile.
    useWorkspace.getState().choose(tab.id);
    return true;
  }
  useWorkspace.getState().open(tab.history.document, { draft: tab });
  return true;
}
