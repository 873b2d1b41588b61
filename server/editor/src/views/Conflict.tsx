/** Someone else saved meanwhile: both are shown with what differs, and both can be kept. */
import { parseDocument } from "../document/text";
import { DifferenceList } from "../panels/DifferenceList";
import { freeName } from "../state/saving";
import { useCatalogue } from "../state/catalogue";
import { useNotices } from "../state/notices";
import { save } from "../state/saving";
import { useWorkspace } from "../state/workspace";
import { closeDialog } from "./Dialog";

export function Conflict({ id }: { readonly id: string }) {
  const tab = useWorkspace((state) => state.tabs.find((one) => one.id === id));
  const theirs = tab?.conflict ? parseDocument(tab.conflict.text) : null;
  if (!tab || !tab.conflict || !theirs) return <p className="quiet">It is settled: nothing is in conflict any more.</p>;
  const { conflict, name } = tab;
  const opened = "document" in theirs ? theirs.document : null;
  const settle = () => {
    closeDialog();
    for (const notice of [`save-${id}`, `newer-${id}`]) useNotices.getState().close(notice);
  };
  const keepBoth = async () => {
    const free = freeName(name ?? tab.title, useCatalogue.getState().workflows.map((one) => one.name));
    settle();
    if ((await save(id, free)) !== "saved") return;
    if (opened && name !== null) useWorkspace.getState().open(opened, { name, etag: conflict.etag, text: conflict.text, behind: true });
  };
  const overwrite = () => {
    settle();
    useWorkspace.getState().patch(id, { saved: conflict, conflict: null });
    void save(id);
  };
  const openTheirs = () => {
    settle();
    if (opened) useWorkspace.getState().open(opened, { name, etag: conflict.etag, text: conflict.text });
  };
  return (
    <>
      {opened ? <DifferenceList a={opened} b={tab.history.document} names={["theirs", "yours"]} /> : <p className="quiet">What they saved cannot be read.</p>}
      <div className="dialog__acts">
        <button type="button" className="button" onClick={closeDialog}>
          Later
        </button>
        <button type="button" className="button" disabled={!opened} onClick={openTheirs}>
          Open theirs
        </button>
        <button type="button" className="button" onClick={overwrite}>
          Save mine over it
        </button>
        <button type="button" className="button button--work" autoFocus onClick={() => void keepBoth()}>
          Keep both
        </button>
      </div>
    </>
  );
}
