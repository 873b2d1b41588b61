/** Workflows of the server, drafts of this browser, and pictures with a workflow inside. */
import { type KeyboardEvent, useEffect, useState } from "react";
import { runCommand } from "../keys/commands";
import { Icon } from "../marks";
import type { Listed } from "../service/types";
import { refreshWorkflows, useCatalogue } from "../state/catalogue";
import { openJob, openSaved } from "../state/opening";
import { freeName } from "../state/saving";
import { useWorkspace } from "../state/workspace";
import { Empty } from "./Empty";
import { copyWorkflow, deleteWorkflow, renameWorkflow } from "./fileActs";
import { readGallery, useGallery } from "./galleryData";
import { moveInList } from "./listKeys";
import "../styles/panels.css";

const PICTURES = 12;

export function Files() {
  const workflows = useCatalogue((state) => state.workflows);
  const tabs = useWorkspace((state) => state.tabs);
  const pictures = useGallery((state) => state.list);
  const [query, setQuery] = useState("");
  useEffect(() => {
    void refreshWorkflows().catch(() => {});
    void readGallery();
  }, []);
  const has = (text: string) => text.toLowerCase().includes(query.trim().toLowerCase());
  const drafts = tabs.filter((tab) => tab.name === null && tab.unsaved && has(tab.title));
  const saved = workflows.filter(({ name, title }) => has(`${name} ${title}`)).toSorted((a, b) => a.name.localeCompare(b.name));
  const shown = pictures.filter(({ output }) => has(output.name ?? output.node)).slice(0, PICTURES);
  const unsaved = new Set(tabs.flatMap((tab) => (tab.unsaved && tab.name !== null ? [tab.name] : [])));
  return (
    <>
      <div className="panel__title">
        Files
        <span className="push row">
          <button type="button" className="button button--plain button--icon button--small" aria-label="New workflow" title="New workflow" onClick={() => runCommand("file.new")}>
            <Icon name="plus" />
          </button>
          <button type="button" className="button button--plain button--icon button--small" aria-label="Open from this computer" title="Open from this computer" onClick={() => runCommand("file.openHere")}>
            <Icon name="folder" />
          </button>
        </span>
      </div>
      <div className="search">
        <Icon name="search" />
        <input aria-label="Find a file" placeholder="Find by name or title" value={query} onChange={(event) => setQuery(event.currentTarget.value)} />
      </div>
      <div className="panel__body panel__body--scrolls" data-rows>
        {drafts.length > 0 && (
          <section aria-label="Drafts">
            <h2 className="section__title runs__title">Drafts, in this browser</h2>
            <ul>
              {drafts.map((tab) => (
                <li key={tab.id}>
                  <button type="button" className="item item--button" data-row onClick={() => useWorkspace.getState().choose(tab.id)} onKeyDown={(event) => void moveInList(event)}>
                    <Icon name="file" />
                    <span className="cut">{tab.title}</span>
                    <span className="unsaved push" title="not saved yet" />
                    <span className="sr-only">not saved yet</span>
                  </button>
                </li>
              ))}
            </ul>
          </section>
        )}
        <section aria-label="Saved workflows">
          <h2 className="section__title runs__title">
            On the server
            <span className="push faint">{saved.length}</span>
          </h2>
          <ul>
            {saved.map((listed) => (
              <FileRow key={listed.name} listed={listed} unsaved={unsaved.has(listed.name)} />
            ))}
          </ul>
          {workflows.length === 0 && <Empty title="Nothing is saved yet">Ctrl+S saves the workflow as a plain JSON file in the server’s data folder.</Empty>}
          {workflows.length > 0 && saved.length === 0 && <p className="quiet small runs__words">None has these words.</p>}
        </section>
        {shown.length > 0 && (
          <section aria-label="Pictures with a workflow inside">
            <h2 className="section__title runs__title">Pictures, with their workflow inside</h2>
            <ul>
              {shown.map((one) => (
                <li key={one.id}>
                  <button type="button" className="item item--button picture-row" data-row title="Opens the workflow that made it" onClick={() => void openJob(one.output.job)} onKeyDown={(event) => void moveInList(event)}>
                    <img className="file__thumb" src={one.thumb} alt="" loading="lazy" />
                    <span className="cut">{one.output.name ?? one.output.node}</span>
                    <time className="push faint tiny">{new Date(one.output.finished * 1000).toLocaleDateString([], { month: "short", day: "numeric" })}</time>
                  </button>
                </li>
              ))}
            </ul>
          </section>
        )}
      </div>
    </>
  );
}

type Doing = "rename" | "delete" | null;

function FileRow({ listed, unsaved }: { readonly listed: Listed; readonly unsaved: boolean }) {
  const { name } = listed;
  const [open, setOpen] = useState(false);
  const [doing, setDoing] = useState<Doing>(null);
  const keys = (event: KeyboardEvent<HTMLElement>) => {
    if (event.key === "F2") {
      event.preventDefault();
      setDoing("rename");
    } else if (event.key === "Delete") {
      event.preventDefault();
      setDoing("delete");
    } else if (event.key === "ArrowRight" || event.key === "ArrowLeft") {
      event.preventDefault();
      setOpen(event.key === "ArrowRight");
    } else moveInList(event);
  };
  if (doing === "rename") return <Rename name={name} onEnd={() => setDoing(null)} />;
  return (
    <li className="file">
      <div className="file__row">
        <button type="button" className="item item--button" data-row title={listed.problem ?? (listed.title && listed.title !== name ? listed.title : name)} onClick={() => void openSaved(name)} onKeyDown={keys}>
          <Icon name={listed.problem ? "warn" : "file"} />
          <span className="cut">{name}</span>
          {listed.problem && <span className="failed small">cannot be read</span>}
          {unsaved && <span className="unsaved push" title="changed here, not saved" />}
          {unsaved && <span className="sr-only">changed here, not saved</span>}
          <time className={`faint tiny${unsaved ? "" : " push"}`}>{new Date(listed.modified * 1000).toLocaleDateString([], { month: "short", day: "numeric" })}</time>
        </button>
        <button type="button" className="button button--plain button--icon button--small" aria-label={`What can be done with ${name}`} aria-expanded={open} onClick={() => setOpen(!open)}>
          <Icon name="dots" />
        </button>
      </div>
      {open && doing === null && (
        <div className="run__buttons file__acts">
          <button type="button" className="button button--small" onClick={() => setDoing("rename")}>
            Rename
          </button>
          <button type="button" className="button button--small" onClick={() => void copyWorkflow(name, freeName(name, new Set(useCatalogue.getState().workflows.map((one) => one.name))))}>
            Duplicate
          </button>
          <button type="button" className="button button--small" onClick={() => setDoing("delete")}>
            Delete
          </button>
        </div>
      )}
      {doing === "delete" && (
        <div className="file__acts small">
          <p className="quiet">Delete {name} on the server?</p>
          <div className="run__buttons">
            <button type="button" autoFocus className="button button--small button--failed" onClick={() => void deleteWorkflow(name).then(() => setDoing(null))}>
              Delete
            </button>
            <button type="button" className="button button--small" onClick={() => setDoing(null)}>
              Keep
            </button>
          </div>
        </div>
      )}
    </li>
  );
}

function Rename({ name, onEnd }: { readonly name: string; readonly onEnd: () => void }) {
  const [text, setText] = useState(name);
  const take = () => {
    const to = text.trim();
    if (to === "" || to === name) onEnd();
    else void renameWorkflow(name, to).then((done) => done && onEnd());
  };
  return (
    <li className="file file--rename">
      <input
        className="field"
        aria-label={`New name of ${name}`}
        autoFocus
        value={text}
        spellCheck={false}
        onFocus={(event) => event.currentTarget.select()}
        onChange={(event) => setText(event.currentTarget.value)}
        onBlur={onEnd}
        onKeyDown={(event) => {
          if (event.key === "Enter") take();
          else if (event.key === "Escape") {
            event.stopPropagation();
            onEnd();
          }
        }}
      />
    </li>
  );
}
