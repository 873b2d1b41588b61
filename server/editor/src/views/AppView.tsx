/** The app view: a workflow's parameters, its result, and the run before. Nothing else. */
import { useEffect, useState } from "react";
import { differences } from "../document/difference";
import { differenceWords } from "../document/difference-words";
import type { Document } from "../document/types";
import { Icon } from "../marks";
import { api } from "../service/api";
import { useRuns } from "../state/runs";
import type { RunInfo, Tab } from "../state/types";
import { duration } from "../state/words";
import { LiveSwitch } from "./SeedField";
import { ParameterForm } from "./Parameters";
import { type Picture, usePictures } from "./results";
import { RunButton, useActive } from "./RunButton";
import { copyText } from "./TextView";
import "../styles/others.css";

export function AppView({ tab }: { readonly tab: Tab }) {
  const { document } = tab.history;
  const title = document.meta?.title;
  const description = document.meta?.description;
  return (
    <>
      <section className="panel app-form" aria-label={`Parameters of ${tab.title}`} data-region="parameters" data-scope="app">
        <div className="app-form__fields">
          <h2 className="app-form__title">{typeof title === "string" && title ? title : tab.title}</h2>
          {typeof description === "string" && description && <p className="quiet app-form__words">{description}</p>}
          <ParameterForm tab={tab} />
        </div>
        <div className="app-form__run">
          <RunButton tab={tab} large />
          <LiveSwitch tab={tab} />
        </div>
      </section>
      <ResultView tab={tab} />
    </>
  );
}

/** The newest preview of a run that goes on. */
export function usePreview(active: RunInfo | undefined): string | undefined {
  if (!active) return undefined;
  let newest: string | undefined;
  for (const node of active.nodes.values()) if (node.state === "running" && node.preview) newest = node.preview;
  return newest;
}

/** What a run differed in from the one before it, as far as both documents are known: "sega_scale 2.0, 0.0". */
export function runDifference(run: RunInfo, before: RunInfo | undefined): string {
  if (!before || run.document === undefined || before.document === undefined) return "";
  const lines = differences(before.document as Document, run.document as Document).map(differenceWords);
  return lines.length > 2 ? `${lines.slice(0, 2).join(" · ")} and ${lines.length - 2} more` : lines.join(" · ");
}

function Large({ picture, label }: { readonly picture: Picture; readonly label: string }) {
  const { output } = picture;
  return <img className="app-result__image" src={picture.source} alt={label} width={output.width} height={output.height} />;
}

export function ResultView({ tab }: { readonly tab: Tab }) {
  const pictures = usePictures(tab);
  const active = useActive(tab);
  const preview = usePreview(active);
  const [chosen, setChosen] = useState<string | null>(null);
  const newest = pictures[0]?.source;
  useEffect(() => setChosen(null), [newest]);
  const shown = pictures.find((picture) => picture.source === chosen) ?? pictures[0];
  const before = shown && pictures.find((picture) => picture.run.number < shown.run.number);
  const jobs = useRuns((state) => state.jobs);
  const runBefore = before && jobs.get(before.run.job.id);
  return (
    <main className="app-result" aria-label="Result" data-region="result" data-scope="app" tabIndex={-1}>
      {preview && (
        <figure className="app-result__main">
          <img className="app-result__image" src={preview} alt="How far the picture is" />
          <figcaption className="row">Run {active?.number} goes on</figcaption>
        </figure>
      )}
      {!preview && shown && (
        <div className="app-result__pair">
          <figure className="app-result__main">
            <Large picture={shown} label={`Result of run ${shown.run.number}, ${shown.output.name ?? ""}`} />
            <figcaption className="row">
              <b className="medium">Run {shown.run.number}</b>
              <span className="quiet small">
                {duration(shown.run.job.seconds ?? 0)} · {shown.run.job.ran ?? 0} ran, {shown.run.job.cached} from the cache
              </span>
              <span className="push row">
                <button type="button" className="button button--plain button--icon" aria-label="Copy the address of the picture" onClick={() => void copyText(new URL(shown.source, location.href).href, "The address")}>
                  <Icon name="copy" />
                </button>
                <a className="button button--plain" href={shown.source} download={shown.output.name || "picture.png"}>
                  <Icon name="file" />
                  Save
                </a>
              </span>
            </figcaption>
          </figure>
          {before && runBefore && (
            <figure className="app-result__before">
              <Large picture={before} label={`Result of run ${before.run.number}`} />
              <figcaption className="small quiet">
                Run {before.run.number}
                {runDifference(shown.run, runBefore) && <span className="app-result__what"> · {runDifference(shown.run, runBefore)}</span>}
              </figcaption>
            </figure>
          )}
        </div>
      )}
      {!preview && !shown && (
        <div className="empty">
          <b>No picture yet</b>
          <p className="quiet">Run makes the first one.</p>
        </div>
      )}
      {pictures.length > 1 && (
        <ul className="app-result__strip" aria-label="Pictures so far">
          {pictures.slice(0, 8).map((picture) => (
            <li key={`${picture.run.job.id}${picture.output.file}`}>
              <button type="button" className={`picture${picture === shown ? " picture--chosen" : ""}`} aria-pressed={picture === shown} aria-label={`Picture of run ${picture.run.number}`} onClick={() => setChosen(picture.source)}>
                <img src={api.fileUrl(picture.output.file ?? "", 256)} alt="" loading="lazy" />
              </button>
            </li>
          ))}
        </ul>
      )}
    </main>
  );
}
