/** A sweep: which inputs have which values, and the grid of what came of it. */
import { useMemo, useState } from "react";
import { useCatalogue } from "../state/catalogue";
import { openJob } from "../state/opening";
import { useRuns } from "../state/runs";
import { type Axis, MOST_CELLS, startSweep, stopSweep, type Sweep, useSweeps } from "../state/sweeps";
import type { RunInfo } from "../state/types";
import { counted } from "../state/words";
import { tabOf } from "../state/workspace";
import { valueWords } from "../document/difference";
import { pictureOfRun } from "../panels/resultData";
import { runWords } from "../panels/runWords";
import { suggested, type SweepInput, sweepInputs } from "../panels/sweepInputs";
import { readValues, sweepName } from "../panels/sweepValues";
import { serverNow } from "../state/runs";
import { closeDialog, openDialog } from "./Dialog";
import { openSweepGrid } from "./sweeps";
import "../styles/panels.css";

interface Chosen {
  readonly key: string;
  readonly text: string;
}

export function SweepForm() {
  const document = tabOf()?.history.document;
  const catalogue = useCatalogue((state) => state.catalogue);
  const inputs = useMemo(() => (document && catalogue ? sweepInputs(document, catalogue) : []), [document, catalogue]);
  const of = (key: string) => inputs.find((input) => input.key === key);
  const start = (input: SweepInput | undefined): Chosen => (input && document ? { key: input.key, text: suggested(input, document) } : { key: "", text: "" });
  const [axes, setAxes] = useState<readonly [Chosen, Chosen]>(() => [start(inputs[0]), { key: "", text: "" }]);
  const [fault, setFault] = useState<string | null>(null);
  const read = axes.map(({ key, text }) => (key === "" ? null : readValues(text, of(key)?.type)));
  const counts = read.map((values) => (values && "values" in values ? values.values.length : 0));
  const all = (counts[0] ?? 0) * (axes[1].key === "" ? 1 : (counts[1] ?? 0));
  const change = (at: 0 | 1, next: Chosen) => {
    setFault(null);
    setAxes(at === 0 ? [next, axes[1]] : [axes[0], next]);
  };
  const submit = () => {
    const found: Axis[] = [];
    for (const [at, { key }] of axes.entries()) {
      const [input, values] = [of(key), read[at]];
      if (!input || !values) continue;
      if ("problem" in values) return setFault(values.problem);
      found.push({ node: input.node, input: input.input, values: values.values });
    }
    if (found.length === 0) return setFault("Choose an input.");
    if (all > MOST_CELLS) return setFault(`At most ${MOST_CELLS} runs; these are ${all}.`);
    openSweepGrid();
    void startSweep(found).then((done) => {
      if ("refused" in done) openDialog({ title: "Run with several values", body: () => <p className="failed quiet">{done.refused}</p> });
    });
  };
  if (inputs.length === 0) return <p className="quiet">No input of this workflow has a value that could be varied.</p>;
  return (
    <form
      className="sweep"
      onSubmit={(event) => {
        event.preventDefault();
        submit();
      }}
    >
      {([0, 1] as const).map((at) => {
        const values = read[at];
        return (
          <div key={at} className="sweep__axis">
            <select className="field" aria-label={at === 0 ? "Across: which input" : "Down: which input, or none"} value={axes[at].key} onChange={(event) => change(at, start(of(event.currentTarget.value)))}>
              {at === 1 && <option value="">no second input</option>}
              {inputs.map(({ key }) => (
                <option key={key} value={key} disabled={at === 1 && key === axes[0].key}>
                  {key}
                </option>
              ))}
            </select>
            <input className={`field${values && "problem" in values ? " field--failed" : ""}`} aria-label={at === 0 ? "Its values" : "Its values, of the second input"} disabled={axes[at].key === ""} autoFocus={at === 0} value={axes[at].text} spellCheck={false} aria-describedby={`sweep-${at}`} onChange={(event) => change(at, { ...axes[at], text: event.currentTarget.value })} />
            <p id={`sweep-${at}`} className={`small ${values && "problem" in values ? "failed" : "quiet"}`}>
              {values === null ? "A second input makes a grid." : values && "problem" in values ? values.problem : `${counted(counts[at] ?? 0, "value")}: ${values && "values" in values ? preview(values.values.map(valueWords)) : ""}`}
            </p>
          </div>
        );
      })}
      <p className="small quiet">Ranges and lists: 4 to 13, 0 to 1 step 0.25, or 1, 2, 5. Nodes that do not differ are not computed again.</p>
      {fault && (
        <p className="failed small" role="alert">
          {fault}
        </p>
      )}
      <div className="dialog__acts">
        <button type="button" className="button" onClick={closeDialog}>
          Not now
        </button>
        <button type="submit" className="button button--work" disabled={all === 0}>
          {`Run ${all}`}
        </button>
      </div>
    </form>
  );
}

function preview(values: readonly string[]): string {
  return values.length > 6 ? `${values.slice(0, 4).join(", ")}, … ${values.at(-1)}` : values.join(", ");
}

export function SweepGrids() {
  const list = useSweeps((state) => state.list);
  const [id, setId] = useState<string | null>(null);
  const sweep = list.find((one) => one.id === id) ?? list[0];
  if (!sweep) return <p className="quiet">No sweep was started yet: “Run with several values” starts one.</p>;
  return (
    <>
      {list.length > 1 && (
        <div className="sweep">
          <select className="field" aria-label="Which sweep" value={sweep.id} onChange={(event) => setId(event.currentTarget.value)}>
            {list.map((one) => (
              <option key={one.id} value={one.id}>
                {sweepName(one.axes)}, {counted(one.cells.length, "run")}, {new Date(one.started).toLocaleTimeString()}
              </option>
            ))}
          </select>
        </div>
      )}
      <Grid sweep={sweep} />
      <div className="dialog__acts">
        <button type="button" className="button" onClick={() => void stopSweep(sweep.id)}>
          Stop it, take it off the list
        </button>
        <button type="button" className="button" autoFocus onClick={closeDialog}>
          Close
        </button>
      </div>
    </>
  );
}

/** The first axis goes across, the second down; both are labelled. */
function Grid({ sweep }: { readonly sweep: Sweep }) {
  const jobs = useRuns((state) => state.jobs);
  const [across, down] = sweep.axes;
  if (!across) return null;
  const cell = (column: number, row: number) => sweep.cells.find(({ at }) => at[0] === column && (at[1] ?? 0) === row);
  const label = ({ node, input }: Axis) => `${node}.${input}`;
  const show = (column: number, row: number) => {
    const job = cell(column, row)?.job ?? null;
    const where = [across.values[column], down?.values[row]].filter((value) => value !== undefined).map(valueWords).join(", ");
    return <GridCell run={job === null ? undefined : jobs.get(job)} words={job === null ? "not queued yet" : ""} where={where} />;
  };
  if (!down) {
    return (
      <div className="grid-scroll">
        <h3 className="section__title">{label(across)}</h3>
        <div className="grid__one">
          {across.values.map((value, column) => (
            <figure key={column}>
              {show(column, 0)}
              <figcaption className="small quiet">{valueWords(value)}</figcaption>
            </figure>
          ))}
        </div>
      </div>
    );
  }
  return (
    <div className="grid-scroll" tabIndex={0} role="group" aria-label={`Grid of ${sweepName(sweep.axes)}`}>
      <table>
        <caption className="sr-only">{sweepName(sweep.axes)}</caption>
        <thead>
          <tr>
            <td className="grid__corner" />
            <th scope="colgroup" colSpan={across.values.length}>
              {label(across)}
            </th>
          </tr>
          <tr>
            <th className="grid__corner" scope="col">
              {label(down)}
            </th>
            {across.values.map((value, column) => (
              <th key={column} scope="col">
                {valueWords(value)}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {down.values.map((value, row) => (
            <tr key={row}>
              <th scope="row">{valueWords(value)}</th>
              {across.values.map((_, column) => (
                <td key={column}>{show(column, row)}</td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

function GridCell({ run, words, where }: { readonly run: RunInfo | undefined; readonly words: string; readonly where: string }) {
  const picture = run && pictureOfRun(run, null);
  const state = run ? runWords(run, serverNow()).head : words;
  return (
    <button type="button" className="picture grid__cell small" disabled={!run} title={run ? `${where}: opens this workflow` : where} aria-label={`${where}: ${run ? state : words}`} onClick={() => run && (closeDialog(), void openJob(run.job.id))}>
      {picture ? <img src={picture.source} alt="" /> : <span>{state}</span>}
    </button>
  );
}
