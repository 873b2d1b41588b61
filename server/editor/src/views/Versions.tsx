/** Earlier versions of a saved workflow, each with what differs from what the tab shows. */
import { useEffect, useRef, useState } from "react";
import { replaceDocument } from "../document/replace";
import { parseDocument } from "../document/text";
import type { Document } from "../document/types";
import { Icon } from "../marks";
import { DifferenceList } from "../panels/DifferenceList";
import { api } from "../service/api";
import { words } from "../service/refused";
import type { Version } from "../service/types";
import { say } from "../state/notices";
import { openSaved } from "../state/opening";
import { tabOf, useWorkspace } from "../state/workspace";
import { closeDialog } from "./Dialog";

interface Looked {
  readonly version: string;
  /** What it was, or why that cannot be told. */
  readonly document: Document | string;
  readonly now: Document;
}

export function Versions({ name, tab }: { readonly name: string; readonly tab: string }) {
  const [list, setList] = useState<readonly Version[] | string | null>(null);
  const [looked, setLooked] = useState<Looked | null>(null);
  const asked = useRef("");
  useEffect(() => {
    let gone = false;
    api.versions(name).then(
      (found) => !gone && setList(found),
      (error: unknown) => !gone && setList(words(error)),
    );
    return () => {
      gone = true;
    };
  }, [name]);
  const look = async (version: string) => {
    asked.current = version;
    const found = await lookAt(name, version, tab);
    if (asked.current === version && found) setLooked(found);
  };
  const restore = (now: Looked) => {
    const open = tabOf(tab);
    if (!open || typeof now.document === "string") return;
    closeDialog();
    // Into the tab itself: it has the etag of what is saved, so that saving makes it the newest; undo takes it back.
    useWorkspace.getState().choose(tab);
    useWorkspace.getState().edit(replaceDocument(open.history.document, now.document, `version ${now.version} again`), { tab });
    say(`Version ${now.version} is in the tab. Saving makes it the newest; undo takes it back.`);
  };
  if (list === null) return <p className="quiet">Reading.</p>;
  if (typeof list === "string") return <p className="failed versions__failed" role="alert">The versions cannot be read. {list}</p>;
  if (list.length === 0) return <p className="quiet">There is no earlier version: it was saved once.</p>;
  return (
    <div className="versions">
      <ul className="dialog__list" aria-label="Versions">
        {list.map((version) => (
          <li key={version.version}>
            <button type="button" className={`item item--button${looked?.version === version.version ? " item--chosen" : ""}`} aria-pressed={looked?.version === version.version} onClick={() => void look(version.version)}>
              <Icon name="clock" />
              <span>version {version.version}</span>
              <span className="push faint small">{new Date(version.modified * 1000).toLocaleString()}</span>
            </button>
          </li>
        ))}
      </ul>
      <div className="versions__lines" aria-live="polite">
        {looked === null && <p className="quiet">Choose a version: what has changed since stands here.</p>}
        {looked && (
          <>
            <h3 className="section__title">Changed since version {looked.version}</h3>
            {typeof looked.document === "string" ? (
              <p className="failed small">{looked.document}</p>
            ) : (
              <DifferenceList a={looked.document} b={looked.now} names={[`version ${looked.version}`, "now"]} />
            )}
            {typeof looked.document !== "string" && (
              <div className="row versions__acts">
                <button type="button" className="button button--small button--work" onClick={() => restore(looked)}>
                  Restore
                </button>
                <button type="button" className="button button--small" onClick={() => (closeDialog(), void openSaved(name, undefined, looked.version))}>
                  Open as a copy
                </button>
              </div>
            )}
          </>
        )}
      </div>
    </div>
  );
}

async function lookAt(name: string, version: string, tab: string): Promise<Looked | null> {
  const now = tabOf(tab)?.history.document;
  if (!now) return null;
  try {
    const { text } = await api.workflow(name, version);
    const read = parseDocument(text);
    return { version, document: "document" in read ? read.document : read.problem, now };
  } catch (error) {
    return { version, document: words(error), now };
  }
}
