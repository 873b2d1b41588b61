/** What runs, what waits, what is done; each row says why it is as it is. */
import { useEffect, useMemo, useState } from "react";
import { runCommand } from "../keys/commands";
import { Icon } from "../marks";
import { api } from "../service/api";
import type { Job } from "../service/types";
import { cancelJob, pauseQueue } from "../state/actions";
import { ended } from "../state/reduce";
import { takeJob, useRuns } from "../state/runs";
import { stopSweep, useSweeps } from "../state/sweeps";
import { counted } from "../state/words";
import { Empty } from "./Empty";
import { RunRow } from "./RunRow";
import { sortedRuns } from "./runWords";
import { sweepName } from "./sweepValues";
import "../styles/panels.css";

const PAGE = 30;

export function Runs() {
  const jobs = useRuns((state) => state.jobs);
  const queue = useRuns((state) => state.queue);
  const [onlyFailed, setOnlyFailed] = useState(false);
  const [most, setMost] = useState(PAGE);
  const { running, queued, done } = useMemo(() => sortedRuns(jobs.values()), [jobs]);
  useQueueOrder(queue);
  const shown = done.filter(({ job }) => !onlyFailed || job.state === "failed");
  const firstRow = running[0] ?? queued[0] ?? shown[0];
  const workers = queue.workers?.filter((worker) => worker.alive).length;
  return (
    <div className="runs" data-rows>
      <Sweeps />
      {running.length + queued.length + done.length === 0 && <Empty title="Nothing has run yet">Ctrl+Enter runs the workflow. What runs, waits and is done stands here.</Empty>}
      {running.length > 0 && (
        <section aria-label="Running">
          <h2 className="section__title runs__title">
            Running
            {workers !== undefined && <span className="push faint">{counted(workers, "worker")}</span>}
          </h2>
          <ul>
            {running.map((run) => (
              <RunRow key={run.job.id} run={run} first={run === firstRow} />
            ))}
          </ul>
        </section>
      )}
      {(queued.length > 0 || queue.paused) && (
        <section aria-label="Queue">
          <h2 className="section__title runs__title">
            Queue{queue.paused ? ", paused" : ""}
            <span className="push row runs__links">
              <button type="button" className="link quiet tiny" onClick={() => void pauseQueue(!queue.paused)}>
                {queue.paused ? "Resume" : "Pause"}
              </button>
              {queued.length > 0 && (
                <button type="button" className="link quiet tiny" onClick={() => void clear(queued.map(({ job }) => job.id))}>
                  Clear
                </button>
              )}
            </span>
          </h2>
          {queue.paused && <p className="quiet small runs__words">What runs goes on to its end; nothing else begins until the queue is resumed.</p>}
          <ul>
            {queued.map((run, at) => (
              <RunRow key={run.job.id} run={run} first={run === firstRow} before={queued[at - 1]?.job.id} after={queued[at + 1]?.job.id} />
            ))}
          </ul>
        </section>
      )}
      {queued.length === 0 && !queue.paused && running.length > 0 && (
        <p className="small runs__words">
          <button type="button" className="link quiet tiny" onClick={() => void pauseQueue(true)}>
            Pause the queue after this
          </button>
        </p>
      )}
      {done.length > 0 && (
        <section aria-label="Done">
          <h2 className="section__title runs__title">
            Done
            <span className="push row runs__links">
              <button type="button" className="link quiet tiny" aria-pressed={onlyFailed} onClick={() => setOnlyFailed(!onlyFailed)}>
                {onlyFailed ? "All" : "Only failed"}
              </button>
            </span>
          </h2>
          <ul>
            {shown.slice(0, most).map((run) => (
              <RunRow key={run.job.id} run={run} first={run === firstRow} />
            ))}
          </ul>
          {shown.length === 0 && <p className="quiet small runs__words">None has failed.</p>}
          {shown.length > most && (
            <p className="runs__words">
              <button type="button" className="link quiet small" onClick={() => setMost(most + PAGE)}>
                {counted(shown.length - most, "earlier run")}
              </button>
            </p>
          )}
        </section>
      )}
    </div>
  );
}

async function clear(jobs: readonly string[]): Promise<void> {
  for (const job of jobs.toReversed()) await cancelJob(job);
}

/** The order of the queue is the server's: it is asked for when the queue has changed, at most three times a second. */
function useQueueOrder(queue: unknown): void {
  useEffect(() => {
    const timer = setTimeout(() => {
      api.jobs({ state: "queued", limit: 200 }).then(
        ({ jobs }) => {
          for (const job of jobs) takeJob(job);
        },
        () => {},
      );
    }, 300);
    return () => clearTimeout(timer);
  }, [queue]);
}

function Sweeps() {
  const list = useSweeps((state) => state.list);
  const jobs = useRuns((state) => state.jobs);
  if (list.length === 0) return null;
  return (
    <section aria-label="Sweeps">
      <h2 className="section__title runs__title">Sweeps</h2>
      <ul>
        {list.map((sweep) => {
          const over = sweep.cells.filter(({ job }) => job !== null && ended(jobs.get(job)?.job ?? NEVER)).length;
          return (
            <li key={sweep.id} className="run run--sweep" data-row tabIndex={-1}>
              <div className="run__line">
                <span className="cut medium">{sweepName(sweep.axes)}</span>
              </div>
              <div className="run__acts">
                <button type="button" className="button button--small" onClick={() => runCommand("run.sweepGrid")}>
                  Grid
                </button>
                <button type="button" className="button button--plain button--icon button--small" aria-label="Stop this sweep and take it off the list" onClick={() => void stopSweep(sweep.id)}>
                  <Icon name="close" />
                </button>
              </div>
              <div className="run__more">
                {over} of {sweep.cells.length} done
              </div>
            </li>
          );
        })}
      </ul>
    </section>
  );
}

const NEVER = { state: "queued" } as Job;
