/** Losses of a training as far as its node reports them; without one it says so. */
import { useMemo } from "react";
import { useReports } from "../state/reports";
import { numberOf } from "../state/numbers";
import { useRuns } from "../state/runs";
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
  const running = useRuns((state) => state.jobs.get(report.job)?.job.state === "running");
  return (
    <div className="training">
      <p className="small quiet">
        <b>{report.node}</b> of run {numberOf(report.job)}, step {report.step}
        {report.of === null ? "" : ` of ${report.of}`}
        {running ? "" : ", ended"}
      </p>
      {[...report.curves].map(([name, points]) => (
        <Curve key={name} name={name} points={points} />
      ))}
    </div>
  );
}

function Curve({ name, points }: { readonly name: string; readonly points: readonly Point[] }) {
  const [first, last] = [points[0], points.at(-1)];
  if (!first || !last) return null;
  const values = points.map(({ value }) => value);
  const low = values.reduce((least, value) => Math.min(least, value), Number.POSITIVE_INFINITY);
  const high = values.reduce((most, value) => Math.max(most, value), Number.NEGATIVE_INFINITY);
  const path = (of: readonly Point[]) =>
    of.map(({ step, value }) => `${(((step - first.step) / Math.max(1, last.step - first.step)) * WIDTH).toFixed(1)},${(HEIGHT - ((value - low) / (high - low || 1)) * HEIGHT).toFixed(1)}`).join(" ");
  const shown = thinned(points);
  return (
    <figure className="curve">
      <figcaption className="tiny quiet">
        {name} <b>{Number(last.value.toPrecision(4))}</b>, {Number(low.toPrecision(3))} to {Number(high.toPrecision(3))}
      </figcaption>
      <svg viewBox={`-2 -2 ${WIDTH + 4} ${HEIGHT + 4}`} preserveAspectRatio="none" role="img" aria-label={`${name}: ${Number(first.value.toPrecision(4))} at step ${first.step}, ${Number(last.value.toPrecision(4))} at step ${last.step}`}>
        <polyline className="curve__steps" points={path(shown)} />
        <polyline className={/held|valid|test/.test(name) ? "curve__held" : "curve__line"} points={path(smoothed(shown))} />
      </svg>
    </figure>
  );
}
