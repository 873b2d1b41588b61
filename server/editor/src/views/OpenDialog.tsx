/** What can be opened: saved workflows, and drafts that this browser keeps. */
import { useEffect, useState } from "react";
import { parseDocument } from "../document/text";
import { Icon } from "../marks";
import { type Draft, dropDraft } from "../service/drafts";
import { useCatalogue } from "../state/catalogue";
import { openDraft, otherDrafts } from "../state/keeping";
import { openSaved } from "../state/opening";
import { counted } from "../state/words";
import { titleOf } from "../state/workspace";
import { closeDialog } from "./Dialog";

interface Kept {
  readonly draft: Draft;
  readonly title: string;
  readonly nodes: number;
}

/** Drafts with something in them, with what they are called. */
export function keptDrafts(drafts: readonly Draft[]): Kept[] {
  return drafts.flatMap((draft) => {
    const read = parseDocument(draft.text);
    if (!("document" in read)) return [];
    const nodes = Object.keys(read.document.nodes).length;
    return nodes > 0 ? [{ draft, title: titleOf(read.document, draft.name), nodes }] : [];
  });
}

export function Open({ fromHere }: { readonly fromHere: () => void }) {
  const workflows = useCatalogue((state) => state.workflows);
  const [kept, setKept] = useState<readonly Kept[]>([]);
  const [query, setQuery] = useState("");
  useEffect(() => {
    let gone = false;
    otherDrafts().then(
      (found) => !gone && setKept(keptDrafts(found)),
      () => {},
    );
    return () => {
      gone = true;
    };
  }, []);
  const wanted = query.trim().toLowerCase();
  const list = workflows.filter(({ name, title }) => `${name} ${title}`.toLowerCase().includes(wanted));
  const found = kept.filter(({ title }) => title.toLowerCase().includes(wanted));
  const open = (name: string) => {
    closeDialog();
    void openSaved(name);
  };
  const first = () => {
    if (list[0]) open(list[0].name);
    else if (found[0]) take(found[0]);
  };
  const take = ({ draft }: Kept) => {
    closeDialog();
    openDraft(draft);
  };
  return (
    <>
      <form className="search" onSubmit={(event) => (event.preventDefault(), first())}>
        <Icon name="search" />
        <input autoFocus aria-label="Find a saved workflow or a draft" placeholder="Find by name or title" value={query} onChange={(event) => setQuery(event.currentTarget.value)} />
      </form>
      <div className="dialog__lists">
        <ul aria-label="Saved workflows">
          {list.map((listed) => (
            <li key={listed.name}>
              <button type="button" className="item item--button" onClick={() => open(listed.name)}>
                <Icon name="file" />
                <span className="cut">{listed.name}</span>
                {listed.title && listed.title !== listed.name && <span className="faint small cut">{listed.title}</span>}
                {listed.problem ? <span className="push small failed">cannot be read</span> : <span className="push faint small">{new Date(listed.modified * 1000).toLocaleString()}</span>}
              </button>
            </li>
          ))}
          {list.length === 0 && <li className="item quiet">{workflows.length === 0 ? "No workflow is saved on the server yet." : "No saved workflow has these words."}</li>}
        </ul>
        {found.length > 0 && (
          <section>
            <h3 className="section__title dialog__section">Drafts in this browser</h3>
            <ul>
              {found.map((one) => (
                <li key={one.draft.id} className="row">
                  <button type="button" className="item item--button" onClick={() => take(one)}>
                    <span className="unsaved" />
                    <span className="cut">{one.title}</span>
                    <span className="faint small">
                      {counted(one.nodes, "node")}, {one.draft.closed ? "closed unsaved" : "open in another window"}
                    </span>
                    <span className="push faint small">{new Date(one.draft.changed).toLocaleString()}</span>
                  </button>
                  {one.draft.closed && (
                    <button
                      type="button"
                      className="button button--plain button--icon button--small"
                      aria-label={`Throw the draft ${one.title} away`}
                      title="Throw the draft away"
                      onClick={() => void dropDraft(one.draft.id).then(() => setKept(kept.filter((other) => other !== one)))}
                    >
                      <Icon name="close" small />
                    </button>
                  )}
                </li>
              ))}
            </ul>
          </section>
        )}
      </div>
      <div className="dialog__acts">
        <button type="button" className="button" onClick={() => (closeDialog(), fromHere())}>
          From this computer
        </button>
      </div>
    </>
  );
}
