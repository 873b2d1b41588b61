/** A run on a line: lanes, what it waited for longest, what is expected, and what is now. */
import { useEffect, useLayoutEffect, useMemo, useRef, useState } from "react";
import { MiniMap } from "../canvas/MiniMap";
import { serverNow, useRuns } from "../state/runs";
import { type Span, timelineOf } from "../state/timeline";
import type { RunInfo } from "../state/types";
import { duration } from "../state/words";
import { useWorkspace } from "../state/workspace";
import { Empty } from "./Empty";
import { moveInList } from "./listKeys";
import { goToPath } from "./problemActs";
import { loadRun, useShown } from "./shownRun";
import { cacheWords, ruler, tickWords, timelineView } from "./timelineView";
import { WhyRan } from "./WhyRan";
import "../styles/panels.css";

const LEFT = 84;
const RIGHT = 24;
const ROW = 26;
const NAMES = 6;

/** The run of the timeline: the one asked for, else the tab's newest that has begun. */
export function useShownRun(): RunInfo | undefined {
  const asked = useShown((state) => state.job);
  const tab = useWorkspace((state) => state.current);
  // The newest job of the tab takes its place back as soon as there is one.
  const newest = useRuns((state) => {
    const list: readonly string[] = (tab ? state.ofTab.get(tab) : undefined) ?? [];
    const runs = list.map((id) => state.jobs.get(id)).filter((run) => run !== undefined);
    return runs.find(({ job }) => job.state === "running") ?? runs.find(({ job }) => job.started !== null);
  });
  const other = useRuns((state) => (asked === null ? undefined : state.jobs.get(asked)));
  const before = useRef(newest?.job.id);
  useEffect(() => {
    if (before.current !== newest?.job.id) useShown.setState({ job: null });
    before.current = newest?.job.id;
  }, [newest?.job.id]);
  return other ?? newest;
}

export function TimelineAside() {
  const run = useShownRun();
  const critical = useMemo(() => (run ? timelineView(timelineOf(run, serverNow())).critical : 0), [run]);
  if (!run) return null;
  return (
    <span className="row quiet tiny bottom__aside bottom__aside--wide">
      {critical > 0 && (
        <span className="row bottom__aside">
          <i className="key key--critical" />
          critical path {duration(critical)}
        </span>
      )}
      <span className="row bottom__aside">
        <i className="key key--expected" />
        expected
      </span>
      <span>run {run.number}</span>
    </span>
  );
}

export function Timeline() {
  const run = useShownRun();
  return (
    <>
      {run ? <Lanes key={run.job.id} run={run} /> : <div className="lanes"><Empty title="No run to show">Ctrl+Enter runs the workflow; where its time goes stands here, live.</Empty></div>}
      <div className="minimap">
        <MiniMap />
      </div>
    </>
  );
}

function useWidth() {
  const box = useRef<HTMLDivElement>(null);
  const [width, setWidth] = useState(800);
  useLayoutEffect(() => {
    const element = box.current;
    if (!element) return;
    const look = () => setWidth(element.clientWidth);
    look();
    const observer = new ResizeObserver(look);
    observer.observe(element);
    return () => observer.disconnect();
  }, []);
  return { box, width };
}

function useClock(on: boolean): number {
  const [now, setNow] = useState(serverNow);
  useEffect(() => {
    if (!on) return;
    const timer = setInterval(() => setNow(serverNow()), 250);
    return () => clearInterval(timer);
  }, [on]);
  return on ? now : serverNow();
}

function Lanes({ run }: { readonly run: RunInfo }) {
  const running = run.job.state === "running";
  const now = useClock(running);
  const { box, width } = useWidth();
  const [chosen, setChosen] = useState<string | null>(null);
  useEffect(() => void loadRun(run.job.id), [run.job.id]);
  const view = timelineView(timelineOf(run, now));
  const seconds = Math.max(view.seconds * 1.04, 0.05);
  const scale = (width - LEFT - RIGHT) / seconds;
  const x = (at: number) => LEFT + at * scale;
  const ticks = ruler(seconds, width - LEFT - RIGHT);
  const step = ticks[1] ?? 1;
  let top = 20;
  const began = run.job.started ?? now;
  return (
    <div className="lanes" ref={box} data-rows role="group" aria-label={`Timeline of run ${run.number}: ${words(run, view.critical)}`}>
      {ticks.map((at) => (
        <span key={at} className="ruler" style={{ left: x(at) }}>
          {tickWords(at, step)}
        </span>
      ))}
      {view.lanes.map(({ lane, rows }) => {
        const start = top;
        top += Math.max(1, lane === "cache" ? 1 : rows.length) * ROW;
        return (
          <div key={lane} className="lane" style={{ top: start, height: top - start }}>
            <span className="lane__name">{lane}</span>
            {lane === "cache" && <CacheLane run={run} />}
            {lane === "cpu" && view.worker && (
              <span className="span span--wait" style={{ left: x(view.worker.from), width: Math.max(3, (view.worker.to - view.worker.from) * scale) }} title={`worker starts: ${duration(view.worker.to - view.worker.from)}`}>
                worker starts
              </span>
            )}
            {lane !== "cache" && rows.map((row, at) => row.map((span, index) => <SpanBox key={span.node} run={run} span={span} row={at} left={x(span.from)} width={(span.to - span.from) * scale} room={(row[index + 1] ? x(row[index + 1]?.from ?? 0) : width) - x(span.to)} now={running ? x(now - began) - x(span.from) : null} chosen={chosen === span.node} first={index === 0 && at === 0} onChoose={() => setChosen(chosen === span.node ? null : span.node)} />))}
          </div>
        );
      })}
      {running && <span className="now" style={{ left: Math.min(x(now - began), width - 2), height: top - 16 }} />}
      {chosen !== null && (
        <div className="lanes__why small" style={{ top }}>
          <button type="button" className="link" onClick={() => goToPath(chosen)}>
            {chosen}
          </button>
          <WhyRan job={run.job.id} node={chosen} />
        </div>
      )}
    </div>
  );
}

interface SpanProps {
  readonly run: RunInfo;
  readonly span: Span;
  readonly row: number;
  readonly left: number;
  readonly width: number;
  /** Px until the next span of the row: its name may stand there. */
  readonly room: number;
  /** Where now is, from its left, while the run works. */
  readonly now: number | null;
  readonly chosen: boolean;
  readonly first: boolean;
  readonly onChoose: () => void;
}

function SpanBox({ run, span, row, left, width, room, now, chosen, first, onChoose }: SpanProps) {
  const node = run.nodes.get(span.node);
  const step = node?.state === "running" && node.total ? `step ${node.step ?? 0} of ${node.total}` : "";
  const time = span.expected ? `${duration(span.to - span.from)} expected` : duration(span.to - span.from);
  const tip = `${span.node} ${step || time}${span.critical ? ", on the critical path" : ""}${span.failed ? ", failed" : ""}`;
  const inside = width > span.node.length * NAMES + 16;
  const running = span.open && !span.expected;
  // What is done of it is filled; the rest is expected.
  const done = running && now !== null ? Math.max(2, Math.min(width, now)) : width;
  const kind = span.failed ? "span--failed" : span.expected ? "span--expected" : running ? "span--running" : "";
  const style = { top: 3 + row * ROW };
  return (
    <>
      <button
        type="button"
        className={`span span--button ${kind}${span.critical ? " span--critical" : ""}${width < 6 ? " span--thin" : ""}`}
        style={{ ...style, left, width: Math.max(3, done) }}
        data-row
        tabIndex={first ? 0 : -1}
        aria-pressed={chosen}
        aria-label={tip}
        title={tip}
        onClick={onChoose}
        onDoubleClick={() => goToPath(span.node)}
        onKeyDown={(event) => {
          const across = new Map([["ArrowRight", "ArrowDown"], ["ArrowLeft", "ArrowUp"]]).get(event.key);
          moveInList(event, 1, across);
        }}
      >
        {inside && (
          <>
            {span.node}{" "}
            {step && <span className="span__step">{step}</span>}
          </>
        )}
      </button>
      {running && width - done > 3 && <span className="span span--expected" style={{ ...style, left: left + done, width: width - done }} />}
      {!inside && room > span.node.length * NAMES + 12 && (
        <span className="span__beside tiny quiet" style={{ ...style, left: left + Math.max(3, width) + 6 }}>
          {span.node}
        </span>
      )}
    </>
  );
}

function CacheLane({ run }: { readonly run: RunInfo }) {
  const cached = [...run.nodes].filter(([, node]) => node.state === "cached" && node.inner === undefined);
  const shown = cached.slice(0, 60);
  return (
    <>
      {shown.map(([id, node], at) => (
        <span key={id} className={`tick${node.tier === "unneeded" ? " tick--unneeded" : " tick--hit"}`} style={{ left: LEFT + at * 6 }} title={`${id}: ${node.tier === "unneeded" ? "not needed" : `from ${node.tier}`}`} />
      ))}
      <span className="span__beside tiny quiet" style={{ top: 4, left: LEFT + shown.length * 6 + 8 }}>
        {cacheWords(run) || "nothing from the cache"}
      </span>
    </>
  );
}

/** What a screen reader hears of the whole. */
function words(run: RunInfo, critical: number): string {
  const parts = run.worker ? [`worker start ${duration(run.worker.seconds)}`] : [];
  for (const [id, node] of run.nodes) if (node.state === "running" && node.inner === undefined) parts.push(`${id} runs`);
  if (critical > 0) parts.push(`critical path ${duration(critical)}`);
  const cached = cacheWords(run);
  if (cached) parts.push(cached);
  return parts.join(", ") || run.job.state;
}
