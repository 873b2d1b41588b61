/** Below the inspector: the last two runs compared, or the pin against the newest. */
import { useMemo } from "react";
import type { Document } from "../document/types";
import { Icon } from "../marks";
import { togglePin } from "../state/pinActs";
import { type Pinned, usePin } from "../state/pinned";
import { useRuns } from "../state/runs";
import type { RunInfo, Tab } from "../state/types";
import { Compare } from "./Compare";
import { comparedLabels, pictureDifferences } from "./compareData";
import { useJobDocument } from "./jobDocuments";
import { resultPair } from "./resultData";
import "../styles/panels.css";

const NO_JOBS: readonly string[] = [];

interface ResultProps {
  readonly tab: Tab;
  /** The chosen node's path in a run; null where none is chosen. */
  readonly node: string | null;
}

export function Result({ tab, node }: ResultProps) {
  const jobs = useRuns((state) => state.jobs);
  const ids = useRuns((state) => state.ofTab.get(tab.id)) ?? NO_JOBS;
  const runs = useMemo(() => ids.flatMap((id): RunInfo[] => (jobs.get(id) ? [jobs.get(id) as RunInfo] : [])), [ids, jobs]);
  const own = usePin(tab.id, node ?? "");
  // A node whose own pictures are too few to compare shows what the whole made of it.
  const of = node !== null && hasPair(runs, node, own) ? node : null;
  const saved = useMemo(() => runs.flatMap(({ job }) => job.outputs).find((output) => output.kind === "image")?.node, [runs]);
  const pinnedNode = of ?? saved ?? "";
  const pinned = usePin(tab.id, pinnedNode);
  const { now, before } = resultPair(runs, of, pinned);
  const documentNow = useJobDocument(now?.run?.job.id);
  const documentBefore = useJobDocument(before?.run?.job.id);
  const found = useMemo(() => differ(documentBefore, documentNow), [documentBefore, documentNow]);
  if (!now) return null;
  const [was, is] = before ? comparedLabels(found, `run ${before.number}`, `run ${now.number}`) : ["", ""];
  return (
    <section className="result" aria-label="Result">
      <div className="panel__title result__title">
        Result
        <span className="push row result__acts">
          {before && (
            <>
              <span className="chip">{before.chip}</span>
              <span className="faint tiny">against</span>
            </>
          )}
          <span className={`chip${now.live ? " chip--high" : ""}`}>{now.chip}</span>
          {pinnedNode !== "" && (
            <button type="button" className="button button--plain button--icon button--small" aria-pressed={pinned !== undefined} aria-label={pinned ? "Unpin the picture" : "Pin this picture: the next runs are compared with it"} title={pinned ? "Unpin" : "Pin: the next runs are compared with it"} onClick={() => void togglePin(tab.id, pinnedNode)}>
              <Icon name="pin" />
            </button>
          )}
        </span>
      </div>
      <div className="result__body">
        {before ? (
          <Compare id="compare-result" a={{ source: before.source, name: `run ${before.number}`, label: was }} b={{ source: now.source, name: `run ${now.number}`, label: is }} />
        ) : (
          <div className="picture compare--square">
            <img src={now.source} alt={`${of ?? saved ?? "the picture"} of run ${now.number}`} />
          </div>
        )}
      </div>
    </section>
  );
}

function hasPair(runs: readonly RunInfo[], node: string, pinned: Pinned | undefined): boolean {
  const own = resultPair(runs, node, pinned);
  return own.now !== null && (own.before !== null || resultPair(runs, null, undefined).before === null);
}

function differ(a: Document | null | undefined, b: Document | null | undefined) {
  return a && b ? pictureDifferences(a, b) : null;
}
