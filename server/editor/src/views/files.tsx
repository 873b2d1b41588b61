/** Dialogs about files: open, save under a name, earlier versions. */
import { useEffect, useRef, useState } from "react";
import { parseDocument } from "../document/text";
import type { Document } from "../document/types";
import { Icon } from "../marks";
import { DifferenceList } from "../panels/DifferenceList";
import { api } from "../service/api";
import { words } from "../service/refused";
import type { Version } from "../service/types";
import { refreshWorkflows, useCatalogue } from "../state/catalogue";
import { useNotices } from "../state/notices";
import { openFile, openSaved } from "../state/opening";
import { save } from "../state/saving";
import { tabOf } from "../state/workspace";
import { closeDialog, openDialog } from "./Dialog";

/** Why a text cannot be the name of a saved workflow; null when it can (the server's own rule). */
export function nameFault(name: string): string | null {
  if (name.trim() === "") return "A name is needed.";
  if (name.startsWith(".")) return "A name does not begin with a dot.";
  if (!/^[A-Za-z0-9 ._-]+$/.test(name)) return "A name has letters, digits, spaces, -, _ and dots.";
  if (name.length > 100) return "A name has at most 100 characters.";
  return null;
}

/** Saves the tab that is shown; one without a name asks for it. */
export async function saveTab(): Promise<void> {
  if ((await save()) === "unnamed") openSaveAs();
}

export function openSaveAs(): void {
  if (tabOf()) openDialog({ title: "Save as", body: () => <SaveAs /> });
}

function SaveAs() {
  const tab = tabOf();
  const [name, setName] = useState(() => tab?.name ?? (tab?.title ?? "").replace(/[^A-Za-z0-9 ._-]/g, "").trim().slice(0, 100));
  const [tried, setTried] = useState(false);
  const taken = useCatalogue((state) => state.workflows.some((listed) => listed.name === name));
  const fault = nameFault(name);
  return (
    <form
      className="dialog__form"
      onSubmit={(event) => {
        event.preventDefault();
        setTried(true);
        if (fault) return;
        closeDialog();
        void save(undefined, name);
      }}
    >
      <label htmlFor="save-name">Name</label>
      <input
        id="save-name"
        autoFocus
        className={`field${tried && fault ? " field--failed" : ""}`}
        value={name}
        aria-describedby="save-help"
        aria-invalid={tried && fault !== null}
        onChange={(event) => setName(event.currentTarget.value)}
        onFocus={(event) => event.currentTarget.select()}
      />
      <p id="save-help" className={`small ${tried && fault ? "failed" : "quiet"}`}>
        {tried && fault ? fault : taken ? `${name} is there already. What it is now stays as an earlier version.` : "A plain JSON file in the server's data folder."}
      </p>
      <div className="dialog__acts">
        <button type="button" className="button" onClick={closeDialog}>
          Not now
        </button>
        <button type="submit" className="button button--work">
          Save
        </button>
      </div>
    </form>
  );
}

/** Chooses files of this computer; each comes into a tab. */
export function chooseFiles(): void {
  const input = document.createElement("input");
  input.type = "file";
  input.multiple = true;
  input.accept = ".json,application/json,image/png,image/webp,image/jpeg";
  input.addEventListener("change", () => {
    for (const file of input.files ?? []) void openFile(file);
  });
  input.click();
}

export function openOpen(): void {
  void refreshWorkflows().catch(() => {});
  openDialog({ title: "Open a workflow", body: () => <Open /> });
}

function Open() {
  const workflows = useCatalogue((state) => state.workflows);
  const [query, setQuery] = useState("");
  const list = workflows.filter(({ name, title }) => `${name} ${title}`.toLowerCase().includes(query.trim().toLowerCase()));
  const open = (name: string) => {
    closeDialog();
    void openSaved(name);
  };
  return (
    <>
      <form className="search" onSubmit={(event) => (event.preventDefault(), list[0] && open(list[0].name))}>
        <Icon name="search" />
        <input autoFocus aria-label="Find a saved workflow" placeholder="Find by name or title" value={query} onChange={(event) => setQuery(event.currentTarget.value)} />
      </form>
      <ul className="dialog__list">
        {list.map((listed) => (
          <li key={listed.name}>
            <button type="button" className="item item--button" onClick={() => open(listed.name)}>
              <Icon name="file" />
              <span className="cut">{listed.name}</span>
              {listed.problem ? <span className="push small failed">cannot be read</span> : <span className="push faint small">{new Date(listed.modified * 1000).toLocaleString()}</span>}
            </button>
          </li>
        ))}
        {list.length === 0 && <li className="item quiet">{workflows.length === 0 ? "No workflow is saved on the server yet." : "None has these words."}</li>}
      </ul>
      <div className="dialog__acts">
        <button type="button" className="button" onClick={() => (closeDialog(), chooseFiles())}>
          From this computer
        </button>
      </div>
    </>
  );
}

export function openVersions(): void {
  const tab = tabOf();
  if (tab?.name) openDialog({ title: `Versions of ${tab.name}`, wide: true, body: () => <Versions name={tab.name ?? ""} /> });
}

/** Earlier versions of a saved workflow, each with what differs from what the tab shows. */
function Versions({ name }: { readonly name: string }) {
  const [list, setList] = useState<readonly Version[] | null>(null);
  const [chosen, setChosen] = useState<{ version: string; then: Document | string; now: Document } | null>(null);
  const asked = useRef("");
  useEffect(() => {
    api.versions(name).then(setList, (error: unknown) => {
      setList([]);
      useNotices.getState().say({ id: "versions", kind: "failed", head: "The versions cannot be read.", text: words(error) });
    });
  }, [name]);
  const look = async (version: string) => {
    asked.current = version;
    const [tab, { text }] = [tabOf(), await api.workflow(name, version)];
    const read = parseDocument(text);
    if (asked.current !== version || !tab) return;
    setChosen({ version, then: "document" in read ? read.document : read.problem, now: tab.history.document });
  };
  if (list === null) return <p className="quiet">Reading.</p>;
  if (list.length === 0) return <p className="quiet">There is no earlier version: it was saved once.</p>;
  return (
    <div className="versions">
      <ul className="dialog__list">
        {list.map((version) => (
          <li key={version.version}>
            <button type="button" className={`item item--button${chosen?.version === version.version ? " item--chosen" : ""}`} onClick={() => void look(version.version)}>
              <Icon name="clock" />
              <span>version {version.version}</span>
              <span className="push faint small">{new Date(version.modified * 1000).toLocaleString()}</span>
            </button>
          </li>
        ))}
      </ul>
      <div className="versions__lines">
        {chosen === null && <p className="quiet">Choose a version: what has changed since stands here.</p>}
        {chosen && (
          <>
            <h3 className="section__title">Changed since version {chosen.version}</h3>
            {typeof chosen.then === "string" ? <p className="failed small">{chosen.then}</p> : <DifferenceList a={chosen.then} b={chosen.now} names={[`version ${chosen.version}`, "now"]} />}
            <button type="button" className="button button--small" onClick={() => (closeDialog(), void openSaved(name, undefined, chosen.version))}>
              Open it in a tab
            </button>
          </>
        )}
      </div>
    </div>
  );
}
