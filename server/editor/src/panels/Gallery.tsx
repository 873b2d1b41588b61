/** Pictures of all runs: two of them compared, what differs, and what can be done with one. */
import { type KeyboardEvent, useEffect, useMemo, useState } from "react";
import { Icon } from "../marks";
import { openJob } from "../state/opening";
import { pin, unpin } from "../state/pinActs";
import { usePin } from "../state/pinned";
import { numberOf } from "../state/numbers";
import { useRuns } from "../state/runs";
import { useWorkspace } from "../state/workspace";
import { bytes } from "../state/words";
import { Compare } from "./Compare";
import { comparedLabels, pictureDifferences } from "./compareData";
import { Empty } from "./Empty";
import { matches, putOn, readGallery, type Shown, swapSides, useGallery } from "./galleryData";
import { useJobDocument, useJobDocuments } from "./jobDocuments";
import { moveInList } from "./listKeys";
import { takeSeedOf } from "./takeSeed";
import { WhatDiffers } from "./WhatDiffers";
import "../styles/panels.css";

const COLUMNS = 4;

export function Gallery() {
  const { list, next, state, fault, a, b } = useGallery();
  const [query, setQuery] = useState("");
  const [chosen, setChosen] = useState<string | null>(null);
  // What ended since is new here.
  const done = useRuns((runs) => [...runs.jobs.values()].filter(({ job }) => job.state === "done").length);
  useEffect(() => void readGallery(), [done]);
  const jobs = useMemo(() => [...new Set(list.map(({ output }) => output.job))], [list]);
  const documents = useJobDocuments(jobs, query.trim() !== "");
  const found = list.filter(({ output }) => matches(query, output, documents.get(output.job)));
  const of = (id: string | null) => list.find((one) => one.id === id);
  const picture = of(chosen) ?? of(a) ?? list[0];
  const [pictureA, pictureB] = [of(a), of(b)];
  return (
    <div className="gallery-panel">
      {pictureA && pictureB && <Compared a={pictureA} b={pictureB} />}
      {picture && !(pictureA && pictureB) && <Single picture={picture} />}
      {picture && <Acts picture={picture} />}
      <div className="search">
        <Icon name="search" />
        <input aria-label="Find pictures by word, node or value" placeholder="Find a word, node or value" value={query} onChange={(event) => setQuery(event.currentTarget.value)} />
      </div>
      {state === "failed" && (
        <p className="failed small runs__words" role="alert">
          {fault}{" "}
          <button type="button" className="link" onClick={() => void readGallery()}>
            Try again
          </button>
        </p>
      )}
      {state === "known" && list.length === 0 && <Empty title="No pictures yet">Each picture that a run saves stands here, with the workflow that made it.</Empty>}
      {list.length > 0 && found.length === 0 && <Empty title="None has these words">Words are looked for in names, nodes and values, as in “sega.scale=2.0”.</Empty>}
      <ul className="gallery" aria-label="Pictures, the newest first" data-rows>
        {found.map((one, at) => (
          <Thumb key={one.id} one={one} chosen={one.id === picture?.id} first={one.id === picture?.id || (at === 0 && !found.some(({ id }) => id === picture?.id))} mark={one.id === a ? "A" : one.id === b ? "B" : null} onChoose={() => setChosen(one.id)} />
        ))}
      </ul>
      {next !== null && (
        <p className="runs__words">
          <button type="button" className="link quiet small" onClick={() => void readGallery(true)}>
            Earlier pictures
          </button>
        </p>
      )}
    </div>
  );
}

/** "run 41", by the number that it has in this browser. */
const runName = ({ output }: Shown) => `run ${numberOf(output.job)}`;

function Compared({ a, b }: { readonly a: Shown; readonly b: Shown }) {
  const [documentA, documentB] = [useJobDocument(a.output.job), useJobDocument(b.output.job)];
  const found = useMemo(() => (documentA && documentB ? pictureDifferences(documentA, documentB) : null), [documentA, documentB]);
  const [labelA, labelB] = comparedLabels(found, runName(a), runName(b));
  return (
    <section aria-label="Compare A and B" className="result">
      <div className="panel__title result__title">
        Compare
        <span className="push row result__acts">
          <span className="chip">A · {runName(a)}</span>
          <button type="button" className="button button--plain button--icon button--small" aria-label="Swap A and B" title="Swap: X" onClick={swapSides}>
            <Icon name="split" />
          </button>
          <span className="chip">B · {runName(b)}</span>
          <button type="button" className="button button--plain button--icon button--small" aria-label="Compare no more" onClick={() => putOn("b", null)}>
            <Icon name="close" small />
          </button>
        </span>
      </div>
      <div className="result__body">
        <Compare id="compare-gallery" a={{ source: a.source, name: `A, ${runName(a)}`, label: labelA }} b={{ source: b.source, name: `B, ${runName(b)}`, label: labelB }} onSwap={swapSides} />
      </div>
      <WhatDiffers a={documentA} b={documentB} />
    </section>
  );
}

function Single({ picture }: { readonly picture: Shown }) {
  return (
    <section aria-label="The picture" className="result">
      <div className="panel__title result__title">
        <span className="cut">{picture.output.name ?? picture.output.node}</span>
        <span className="push chip">{runName(picture)}</span>
      </div>
      <div className="result__body">
        <div className="picture compare--square">
          <img src={picture.source} alt={`${picture.output.node} of ${runName(picture)}`} />
        </div>
      </div>
    </section>
  );
}

function Acts({ picture }: { readonly picture: Shown }) {
  const { output } = picture;
  const document = useJobDocument(output.job);
  const tab = useWorkspace((state) => state.current);
  const pinned = usePin(tab ?? "", output.node);
  const isPinned = pinned !== undefined && pinned.file === output.file;
  const pinIt = () => {
    if (tab === null) return;
    if (isPinned) unpin(tab, output.node);
    else pin(tab, output.node, { source: picture.source, number: numberOf(output.job), job: output.job, ...(output.file && { file: output.file }) });
  };
  return (
    <div className="gallery__acts">
      <p className="tiny faint cut">
        {output.node} · {output.width} × {output.height}
        {output.bytes === undefined ? "" : ` · ${bytes(output.bytes)}`} · {new Date(output.finished * 1000).toLocaleString([], { dateStyle: "medium", timeStyle: "short" })}
      </p>
      <div className="run__buttons">
        <button type="button" className="button button--small" onClick={() => putOn("a", picture.id)} title="Put it on side A: A">
          A
        </button>
        <button type="button" className="button button--small" onClick={() => putOn("b", picture.id)} title="Put it on side B: B">
          B
        </button>
        <button type="button" className="button button--small" onClick={() => void openJob(output.job)}>
          Open workflow
        </button>
        <button type="button" className="button button--small" disabled={!document || tab === null} onClick={() => document && takeSeedOf(document)}>
          Use seed
        </button>
        <a className="button button--small" href={picture.source} download={output.name ?? `${output.node}.png`}>
          Download
        </a>
        <button type="button" className="button button--small" aria-pressed={isPinned} disabled={tab === null} title="What the next run makes here is compared with it" onClick={pinIt}>
          <Icon name="pin" small />
          {isPinned ? "Unpin" : "Pin"}
        </button>
      </div>
    </div>
  );
}

interface ThumbProps {
  readonly one: Shown;
  readonly chosen: boolean;
  readonly first: boolean;
  readonly mark: "A" | "B" | null;
  readonly onChoose: () => void;
}

function Thumb({ one, chosen, first, mark, onChoose }: ThumbProps) {
  const keys = (event: KeyboardEvent<HTMLButtonElement>) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const key = event.key.toLowerCase();
    if (key === "a" || key === "b") putOn(key, one.id);
    else if (key === "x") swapSides();
    else if (key === "enter" && event.shiftKey) void openJob(one.output.job);
    else {
      moveInList(event, COLUMNS);
      return;
    }
    event.preventDefault();
    event.stopPropagation();
  };
  return (
    <li>
      <button
        type="button"
        className={`picture thumb${chosen || mark ? " picture--chosen" : ""}`}
        data-row
        tabIndex={first ? 0 : -1}
        aria-pressed={chosen}
        aria-label={`${one.output.name ?? one.output.node} of ${runName(one)}${mark ? `, side ${mark}` : ""}`}
        onClick={(event) => {
          onChoose();
          if (event.shiftKey) putOn("b", one.id);
        }}
        onDoubleClick={() => void openJob(one.output.job)}
        onKeyDown={keys}
      >
        <img src={one.thumb} alt="" loading="lazy" draggable={false} />
        {mark && <span className="pick">{mark}</span>}
      </button>
    </li>
  );
}
