/** Losses of a training as far as its node reports them; without one it says so. */
import { useMemo } from "react";
import { useReports } from "../state/reports";
import { cancelJob, retry } from "../state/actions";
import { numberOf } from "../state/numbers";
import { useRuns } from "../state/runs";
import { duration } from "../state/words";
import { Empty } from "./Empty";
import { type Point, type Training as Report, trainingOf } from "./trainings";
import "../styles/panels.css";

const WIDTH = 640;
const HEIGHT = 120;
const MOST = 400;

/** A curve of at most so many points: each stands for the mean of its share. */
export function thinned(points: readonly Point[], most = MOST): Point[] {
  if (points.length <= most) return [...points];
  const share = points.length / most;
  return Array.from({ length: most }, (_, at) => {
    const part = points.slice(Math.floor(at * share), Math.floor((at + 1) * share));
    const mean = (of: (point: Point) => number) => part.reduce((sum, point) => sum + of(point), 0) / part.length;
    return { step: mean(({ step }) => step), value: mean(({ value }) => value) };
  });
}

/** Each point with what came before it: easier to read than single steps. */
export function smoothed(points: readonly Point[], keep = 0.9): Point[] {
  let value = points[0]?.value ?? 0;
  return points.map((point) => {
    value = keep * value + (1 - keep) * point.value;
    return { step: point.step, value };
  });
}

export function Training() {
  const reports = useReports((state) => state.reports);
  const last = useMemo(() => trainingOf(reports), [reports]);
  if (!last) return <Empty title="No training runs">The losses of a node that trains would stand here, step by step. Nothing has reported any.</Empty>;
  return <Curves report={last} />;
}

function Curves({ report }: { readonly report: Report }) {
  const state = useRuns((runs) => runs.jobs.get(report.job)?.job.state);
  const running = state === "running";
  const { curves } = report;
  const others = [...curves].filter(([name]) => !LOSSES.includes(name));
  const rate = report.rate === null ? "" : `, ${Number(report.rate.toPrecision(3))} steps a second`;
  const left = running && report.left !== null ? `, ${duration(report.left)} left` : "";
  return (
    <div className="training">
      <p className="small quiet training__head">
        <span>
          <b>{report.node}</b> of run {numberOf(report.job)}, step {report.step}
          {report.of === null ? "" : ` of ${report.of}`}
          {rate}
          {left}
          {running ? "" : ", ended"}
        </span>
        {running && (
          <button type="button" className="button button--small" title="The last step is saved; Go on trains from there" onClick={() => void cancelJob(report.job)}>
            Pause
          </button>
        )}
        {state === "cancelled" && (
          <button type="button" className="button button--small" title="Runs the same document again: it goes on from the last step that was saved" onClick={() => void retry(report.job)}>
            Go on
          </button>
        )}
      </p>
      <Losses report={report} />
      {others.map(([name, points]) => (
        <Curve key={name} name={name} lines={[{ name, points, look: "curve__steps" }, { name, points: smoothed(thinned(points)), look: "curve__line" }]} />
      ))}
    </div>
  );
}

const LOSSES = ["loss", "loss_smoothed", "validation_loss"];
const LOOKS = ["curve__steps", "curve__line", "curve__held"];

/** The loss of each step in grey, smoothed in ink, on what is held out in blue; a mark at each step that was saved. */
function Losses({ report }: { readonly report: Report }) {
  const lines = LOSSES.flatMap((name, at) => {
    const points = report.curves.get(name);
    return points ? [{ name, points, look: LOOKS[at] ?? "" }] : [];
  });
  const steps = report.curves.get("loss");
  if (steps && !report.curves.has("loss_smoothed")) lines.splice(1, 0, { name: "smoothed", points: smoothed(thinned(steps)), look: "curve__line" });
  return <Curve name="loss" lines={lines} marks={report.checkpoints} />;
}

interface Line {
  readonly name: string;
  readonly points: readonly Point[];
  readonly look: string;
}

function Curve({ name, lines, marks = [] }: { readonly name: string; readonly lines: readonly Line[]; readonly marks?: readonly number[] }) {
  const points = lines.flatMap((line) => line.points);
  const main = lines[0]?.points ?? [];
  const [first, last] = [main[0], main.at(-1)];
  if (!first || !last) return null;
  let [low, high, begin, end] = [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, first.step, last.step];
  for (const { step, value } of points) {
    [low, high] = [Math.min(low, value), Math.max(high, value)];
    [begin, end] = [Math.min(begin, step), Math.max(end, step)];
  }
  const across = (step: number) => ((step - begin) / Math.max(1, end - begin)) * WIDTH;
  const path = (of: readonly Point[]) => of.map(({ step, value }) => `${across(step).toFixed(1)},${(HEIGHT - ((value - low) / (high - low || 1)) * HEIGHT).toFixed(1)}`).join(" ");
  const words = lines.map((line) => `${line.name} ${Number((line.points.at(-1)?.value ?? 0).toPrecision(4))}`);
  return (
    <figure className="curve">
      <figcaption className="tiny quiet">
        {words.join(", ")}; {Number(low.toPrecision(3))} to {Number(high.toPrecision(3))}
      </figcaption>
      <svg viewBox={`-2 -2 ${WIDTH + 4} ${HEIGHT + 4}`} preserveAspectRatio="none" role="img" aria-label={`${name}: ${Number(first.value.toPrecision(4))} at step ${first.step}, ${Number(last.value.toPrecision(4))} at step ${last.step}`}>
        {marks.map((step) => (
          <line key={step} className="curve__saved" x1={across(step)} x2={across(step)} y1={HEIGHT - 6} y2={HEIGHT} />
        ))}
        {lines.map((line) => (
          <polyline key={line.look} className={line.look} points={path(thinned(line.points))} />
        ))}
      </svg>
    </figure>
  );
}
