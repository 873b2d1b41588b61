/** Everything that is wrong, at once: code, place, sentence, fix. */
import { useMemo } from "react";
import { Icon } from "../marks";
import type { Problem } from "../service/types";
import { useCatalogue } from "../state/catalogue";
import { NO_PLAN, usePlan } from "../state/plans";
import { useWorkspace } from "../state/workspace";
import { Empty } from "./Empty";
import { moveInList } from "./listKeys";
import { doFix, goToProblem, sortedProblems } from "./problemActs";
import { placeWords, problemFixes } from "./problemPlaces";
import "../styles/panels.css";

const NONE: readonly Problem[] = [];

/** What stands at the right of the tabs. */
export function ProblemsAside() {
  return (
    <span className="row quiet tiny bottom__aside">
      <kbd>F8</kbd>next problem
    </span>
  );
}

export function Problems() {
  const tab = useWorkspace((state) => state.tabs.find((one) => one.id === state.current));
  const plan = usePlan((state) => (tab && state.ofTab.get(tab.id)) ?? NO_PLAN);
  const problems = plan.problems.length > 0 ? plan.problems : NONE;
  const list = useMemo(() => sortedProblems(problems), [problems]);
  if (list.length === 0) {
    return <Empty title="No problems">{plan.asked === "failed" ? "The server could not be asked; what was known before is gone." : "What would keep the workflow from running stands here before it runs, with the fix."}</Empty>;
  }
  return (
    <ul className="problems" aria-label="Problems" data-rows>
      {list.map((problem, at) => (
        <ProblemRow key={`${at} ${problem.code} ${placeWords(problem)}`} problem={problem} first={at === 0} />
      ))}
    </ul>
  );
}

function ProblemRow({ problem, first }: { readonly problem: Problem; readonly first: boolean }) {
  const document = useWorkspace((state) => state.tabs.find((one) => one.id === state.current)?.history.document);
  const catalogue = useCatalogue((state) => state.catalogue);
  const fixes = document ? problemFixes(problem, document, catalogue) : [];
  const warning = problem.severity !== "error";
  return (
    <li className={`problem${warning ? " problem--warn" : ""}`}>
      <Icon name={warning ? "warn" : "error"} />
      <span className="chip chip--code cut" title={problem.code}>
        <span className="sr-only">{warning ? "Warning " : "Error "}</span>
        {problem.code}
      </span>
      <button type="button" className="link cut problem__place" data-row tabIndex={first ? 0 : -1} onClick={() => goToProblem(problem)} onKeyDown={(event) => void moveInList(event)}>
        {placeWords(problem)}
      </button>
      <span className="problem__words" title={problem.message}>
        {problem.message}
      </span>
      <span className="row problem__fixes">
        {fixes.slice(0, 3).map((fix) => (
          <button key={fix.label} type="button" className="button button--small" onClick={() => doFix(problem, fix)}>
            {fix.label}
          </button>
        ))}
      </span>
    </li>
  );
}
