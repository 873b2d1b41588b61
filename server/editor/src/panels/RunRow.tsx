/** One run as a row: its picture, its name, why it is as it is, and what can be done with it. */
import { type DragEvent, type KeyboardEvent, useEffect, useState } from "react";
import { Icon } from "../marks";
import { api } from "../service/api";
import { cancelJob, deleteJob, moveJob, PRIORITIES, retry } from "../state/actions";
import { openJob } from "../state/opening";
import { ended } from "../state/reduce";
import { serverNow } from "../state/runs";
import type { RunInfo } from "../state/types";
import { moveInList } from "./listKeys";
import { nextAct, type Priority, priorityOf, progressOf, runWords } from "./runWords";
import { showTimelineOf } from "./shownRun";
import { WhyRan } from "./WhyRan";

export interface RunRowProps {
  readonly run: RunInfo;
  /** Whether Tab comes here; the others are reached by arrows. */
  readonly first: boolean;
  /** The jobs that stand before and after it in the queue. */
  readonly before?: string | undefined;
  readonly after?: string | undefined;
}

/** The time, each half second while a run works. */
function useNow(on: boolean): number {
  const [now, setNow] = useState(serverNow);
  useEffect(() => {
    if (!on) return;
    const timer = setInterval(() => setNow(serverNow()), 500);
    return () => clearInterval(timer);
  }, [on]);
  return on ? now : serverNow();
}

/** A run's picture: the newest preview, else what it saved. */
function pictureOf(run: RunInfo): string | null {
  if (run.job.state === "running") {
    const preview = [...run.nodes.values()].findLast((node) => node.preview !== undefined)?.preview;
    if (preview) return preview;
  }
  const image = run.job.outputs.find((output) => output.kind === "image" && output.file !== undefined);
  if (image?.file) return api.fileUrl(image.file, 128);
  return [...run.nodes.values()].findLast((node) => node.preview !== undefined)?.preview ?? null;
}

const DRAGGED = "application/x-weft-job";

/** Sooner: before the one that stands before it. Later: the one after it goes before it. */
export function moveInQueue(job: string, by: -1 | 1, before: string | undefined, after: string | undefined): void {
  if (by < 0 && before) void moveJob(job, { before });
  if (by > 0 && after) void moveJob(after, { before: job });
}

export function RunRow({ run, first, before, after }: RunRowProps) {
  const { job } = run;
  const now = useNow(job.state === "running");
  const [open, setOpen] = useState(false);
  const [over, setOver] = useState(false);
  const words = runWords(run, now);
  const picture = pictureOf(run);
  const bar = job.state === "running" ? progressOf(run, now) : undefined;
  const queued = job.state === "queued";
  const title = job.title || "untitled";
  const name = `run ${run.number}, ${title}`;

  const keys = (event: KeyboardEvent<HTMLLIElement>) => {
    const own = event.target === event.currentTarget;
    if (queued && event.altKey && (event.key === "ArrowUp" || event.key === "ArrowDown")) {
      event.preventDefault();
      event.stopPropagation();
      moveInQueue(job.id, event.key === "ArrowUp" ? -1 : 1, before, after);
      return;
    }
    if (event.target instanceof HTMLSelectElement || event.altKey || event.ctrlKey || event.metaKey) return;
    if (event.key === "ArrowRight" || event.key === "ArrowLeft") {
      event.preventDefault();
      setOpen(event.key === "ArrowRight");
    } else if (own && event.key === "Enter") {
      event.preventDefault();
      void openJob(job.id);
    } else if (own && event.key === "Delete") {
      event.preventDefault();
      moveInList(event, 1, "ArrowDown");
      void (ended(job) ? deleteJob(job.id) : cancelJob(job.id));
    } else moveInList(event);
  };
  const drag = queued && {
    draggable: true,
    onDragStart: (event: DragEvent) => {
      event.dataTransfer.setData(DRAGGED, job.id);
      event.dataTransfer.effectAllowed = "move" as const;
    },
    onDragOver: (event: DragEvent) => {
      if (!event.dataTransfer.types.includes(DRAGGED)) return;
      event.preventDefault();
      setOver(true);
    },
    onDragLeave: () => setOver(false),
    onDrop: (event: DragEvent) => {
      event.preventDefault();
      setOver(false);
      const moved = event.dataTransfer.getData(DRAGGED);
      if (moved && moved !== job.id) void moveJob(moved, { before: job.id });
    },
  };
  return (
    <li
      className={`run${over ? " run--over" : ""}`}
      data-row
      tabIndex={first ? 0 : -1}
      aria-label={`${name}: ${[words.head, words.more].filter(Boolean).join(", ")}`}
      onKeyDown={keys}
      {...(drag || {})}
    >
      <div className="picture run__picture">{picture ? <img src={picture} alt="" draggable={false} /> : <Icon name="image" />}</div>
      <div className="run__line">
        {queued && <Icon name="drag" />}
        <span className="medium">{run.number}</span>
        <span className="cut">{title}</span>
        {queued && priorityOf(job.priority) !== "normal" && <span className={`chip${job.priority > 0 ? " chip--high" : ""}`}>{priorityOf(job.priority)}</span>}
        {job.finished !== null && <time className="faint tiny push run__time">{new Date(job.finished * 1000).toLocaleTimeString([], { hour: "2-digit", minute: "2-digit", hourCycle: "h23" })}</time>}
      </div>
      <div className="run__acts">
        {queued && (
          <button type="button" className="button button--plain button--icon button--small" aria-label={`Sooner: run ${run.number}`} title="Sooner: Alt+Up" disabled={!before} onClick={() => moveInQueue(job.id, -1, before, after)}>
            <Icon name="up" />
          </button>
        )}
        {!ended(job) && (
          <button type="button" className="button button--plain button--icon button--small" aria-label={`Cancel run ${run.number}`} title="Cancel" onClick={() => void cancelJob(job.id)}>
            <Icon name={queued ? "close" : "stop"} />
          </button>
        )}
        {ended(job) && <NextAct run={run} />}
        <button type="button" className="button button--plain button--icon button--small" aria-label={`${open ? "Less" : "More"} of run ${run.number}`} aria-expanded={open} onClick={() => setOpen(!open)}>
          <Icon name={open ? "down" : "right"} small />
        </button>
      </div>
      <div className="run__more">
        <span className={`cut${words.tone === "failed" ? " failed" : ""}`} title={words.head} style={words.tone === "work" ? { color: "var(--work)" } : undefined}>
          {words.head}
        </span>
        {words.more && <span className="run__aside">· {words.more}</span>}
      </div>
      {bar !== undefined && (
        <div className="bar" role="progressbar" aria-label={`run ${run.number}`} aria-valuemin={0} aria-valuemax={100} aria-valuenow={Math.round(bar * 100)}>
          <i style={{ "--at": `${bar * 100}%` }} />
        </div>
      )}
      {open && <More run={run} words={words.head} />}
    </li>
  );
}

function NextAct({ run }: { readonly run: RunInfo }) {
  const act = nextAct(run.job);
  if (act === "open") {
    return (
      <button type="button" className="button button--plain button--icon button--small" aria-label={`Open the workflow of run ${run.number}`} title="Open this workflow" onClick={() => void openJob(run.job.id)}>
        <Icon name="goto" />
      </button>
    );
  }
  const label = act === "retry" ? "Retry" : "Go on";
  return (
    <button type="button" className="button button--plain button--icon button--small" aria-label={`${label} with run ${run.number}`} title={label} onClick={() => void retry(run.job.id)}>
      <Icon name="retry" />
    </button>
  );
}

/** What else there is of a run: the whole sentence, its priority, its timeline, why its nodes ran. */
function More({ run, words }: { readonly run: RunInfo; readonly words: string }) {
  const { job } = run;
  const [why, setWhy] = useState(false);
  const done = ended(job);
  return (
    <div className="run__open small">
      {job.state === "failed" && <p className="failed run__sentence">{words}</p>}
      {job.attempts > 0 && <p className="quiet">A worker died {job.attempts} {job.attempts === 1 ? "time" : "times"} on it; what was finished is kept.</p>}
      <div className="run__buttons">
        {job.state === "queued" && (
          <label className="row run__priority">
            <span className="quiet">Priority</span>
            <select className="field field--small" value={priorityOf(job.priority)} onChange={(event) => void moveJob(job.id, { priority: PRIORITIES[event.currentTarget.value as Priority] })}>
              <option value="high">high</option>
              <option value="normal">normal</option>
              <option value="low">low</option>
            </select>
          </label>
        )}
        <button type="button" className="button button--small" onClick={() => void openJob(job.id)}>
          Open this workflow
        </button>
        {job.started !== null && (
          <button type="button" className="button button--small" onClick={() => showTimelineOf(job.id)}>
            Timeline
          </button>
        )}
        {job.started !== null && (
          <button type="button" className="button button--small" aria-expanded={why} onClick={() => setWhy(!why)}>
            Why did this run again?
          </button>
        )}
        {done && nextAct(job) === "open" && (
          <button type="button" className="button button--small" onClick={() => void retry(job.id)}>
            Run it again
          </button>
        )}
        {done && (
          <button type="button" className="button button--small" onClick={() => void deleteJob(job.id)}>
            Delete
          </button>
        )}
      </div>
      {why && <WhyRan job={job.id} />}
    </div>
  );
}
