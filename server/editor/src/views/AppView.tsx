/** The app view: a workflow's parameters, its result, and the run before. Nothing else. */
import { type KeyboardEvent, useEffect, useState } from "react";
import { Icon } from "../marks";
import { Compare } from "../panels/Compare";
import { useJobDocument } from "../panels/jobDocuments";
import { api } from "../service/api";
import type { RunInfo, Tab } from "../state/types";
import { duration } from "../state/words";
import { LiveSwitch } from "./SeedField";
import { ParameterForm } from "./Parameters";
import { type Picture, runDifference, usePictures } from "./results";
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

function Large({ picture, label }: { readonly picture: Picture; readonly label: string }) {
  const { output } = picture;
  return <img className="app-result__image" src={picture.source} alt={label} width={output.width} height={output.height} />;
}

const TODAY = () => new Date().setHours(0, 0, 0, 0) / 1000;

/** In the app view it is the page's main part; on the phone it stands in one. */
export function ResultView({ tab, inside }: { readonly tab: Tab; readonly inside?: boolean }) {
  const Box = inside ? "section" : "main";
  const pictures = usePictures(tab);
  const active = useActive(tab);
  const preview = usePreview(active);
  const [chosen, setChosen] = useState<string | null>(null);
  // A phone has no room for two beside each other.
  const [comparing, setComparing] = useState(inside === true);
  const newest = pictures[0]?.source;
  useEffect(() => setChosen(null), [newest]);
  const at = Math.max(0, pictures.findIndex((picture) => picture.source === chosen));
  const shown = pictures[at];
  const before = shown && pictures.find((picture, index) => index > at && picture.run !== shown.run && picture.source !== shown.source);
  const documentNow = useJobDocument(shown?.run.job.id);
  const documentBefore = useJobDocument(before?.run.job.id);
  const what = runDifference(documentBefore, documentNow);
  const onKeyDown = (event: KeyboardEvent) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented) return;
    const by = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    const next = by === undefined ? undefined : pictures[Math.min(Math.max(at + by, 0), pictures.length - 1)];
    if (next) {
      setChosen(next.source);
      const strip = event.currentTarget.querySelector(".app-result__strip");
      if (strip?.contains(document.activeElement)) requestAnimationFrame(() => strip.querySelector<HTMLElement>("[aria-pressed=true]")?.focus());
    } else if (event.key === "=" && before) setComparing(!comparing);
    else return;
    event.preventDefault();
  };
  return (
    <Box className="app-result" aria-label="Result" data-region="result" data-scope="result app" tabIndex={0} onKeyDown={onKeyDown}>
      {preview && (
        <figure className="app-result__main">
          <img className="app-result__image" src={preview} alt="How far the picture is" />
          <figcaption className="row">
            <b className="medium">Run {active?.number}</b>
            <span className="quiet small">{active && stepWords(active)}</span>
          </figcaption>
        </figure>
      )}
      {!preview && shown && (
        <div className="app-result__pair">
          <figure className="app-result__main">
            {comparing && before ? (
              <Compare
                a={{ source: before.source, name: `run ${before.run.number}`, label: `${before.run.number}${what ? ` · ${what}` : ""}` }}
                b={{ source: shown.source, name: `run ${shown.run.number}`, label: String(shown.run.number) }}
              />
            ) : (
              <Large picture={shown} label={`Result of run ${shown.run.number}, ${shown.output.name ?? ""}`} />
            )}
            <figcaption className="row">
              <b className="medium">Run {shown.run.number}</b>
              <span className="quiet small">
                {duration(shown.run.job.seconds ?? 0)} · {shown.run.job.ran ?? 0} ran, {shown.run.job.cached} from the cache
              </span>
              <span className="push row">
                {before && (
                  <button type="button" className="button button--plain button--icon" aria-label="Compare with the picture before" title="Compare with the picture before (=)" aria-pressed={comparing} onClick={() => setComparing(!comparing)}>
                    <Icon name="split" />
                  </button>
                )}
                <button type="button" className="button button--plain button--icon" aria-label="Copy the address of the picture" title="Copy the address of the picture" onClick={() => void copyText(new URL(shown.source, location.href).href, "The address")}>
                  <Icon name="copy" />
                </button>
                <a className="button button--plain" href={shown.source} download={shown.output.name || "picture.png"}>
                  <Icon name="file" />
                  Save
                </a>
              </span>
            </figcaption>
          </figure>
          {before && !comparing && (
            <figure className="app-result__before">
              <Large picture={before} label={`Result of run ${before.run.number}`} />
              <figcaption className="small quiet">
                Run {before.run.number}
                {what && <span className="app-result__what"> · {what}</span>}
              </figcaption>
            </figure>
          )}
        </div>
      )}
      {!preview && !shown && (
        <div className="empty">
          <b>No picture yet</b>
          <p className="quiet">{active ? `Run ${active.number} makes the first one: ${stepWords(active)}.` : "Run makes the first one."}</p>
        </div>
      )}
      {pictures.length > 1 && <Strip pictures={pictures} at={at} choose={setChosen} />}
    </Box>
  );
}

function Strip({ pictures, at, choose }: { readonly pictures: readonly Picture[]; readonly at: number; choose(source: string): void }) {
  const since = TODAY();
  const today = pictures.filter(({ run }) => (run.job.finished ?? run.job.created) >= since).length;
  return (
    <div className="app-result__all">
      <span className="quiet small">{today === pictures.length ? "Today" : today === 0 ? "Earlier" : `Today ${today}, and earlier`}</span>
      <ul className="app-result__strip" aria-label="Pictures so far">
        {pictures.map((picture, index) => (
          <li key={`${picture.run.job.id}${picture.output.node}${picture.output.file}`}>
            <button
              type="button"
              className={`picture${index === at ? " picture--chosen" : ""}`}
              aria-pressed={index === at}
              aria-label={`Picture of run ${picture.run.number}`}
              tabIndex={index === at ? 0 : -1}
              onClick={() => choose(picture.source)}
            >
              <img src={api.fileUrl(picture.output.file ?? "", 256)} alt="" loading="lazy" />
            </button>
          </li>
        ))}
      </ul>
    </div>
  );
}

/** "denoise, step 14 of 25", "waits". */
export function stepWords(run: RunInfo): string {
  for (const [id, node] of [...run.nodes].toReversed()) {
    if (node.state === "running" && node.inner === undefined) return node.total ? `${id}, step ${node.step ?? 0} of ${node.total}` : `${id} ${node.message ?? "runs"}`;
  }
  return run.job.started === null ? "waits" : "runs";
}
