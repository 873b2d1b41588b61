/** Going to problems, one after the other, and ending them. */
import { linkInput } from "../canvas/linkActs";
import { focusCard, frame } from "../canvas/sceneStore";
import { useCatalogue } from "../state/catalogue";
import { say } from "../state/notices";
import { planOf } from "../state/plans";
import { showPanel } from "../state/preferences";
import { tabOf, useWorkspace } from "../state/workspace";
import type { Problem } from "../service/types";
import { counted } from "../state/words";
import { placeOfPath, placeWords, type ProblemFix } from "./problemPlaces";

/** Errors first, each in the order of the server. */
export function sortedProblems(problems: readonly Problem[]): Problem[] {
  return problems.toSorted((a, b) => Number(a.severity !== "error") - Number(b.severity !== "error"));
}

/** Shows a node of a run by its path, inside of definitions too; false where it is not there. */
export function goToPath(path: string | null): boolean {
  const tab = tabOf();
  const at = tab && placeOfPath(tab.history.document, path);
  if (!at) return false;
  const { enter, leave, select, setView } = useWorkspace.getState();
  setView("graph");
  const now = tab.trail.map((step) => step.use);
  if (now.join("/") !== at.trail.join("/")) {
    leave(0);
    for (const use of at.trail) enter(use);
  }
  select([at.node], at.node);
  // The place may be drawn anew first.
  requestAnimationFrame(() => requestAnimationFrame(() => frame([at.node])));
  return true;
}

/** Frames the node of a problem and puts the keys into its field; where there is none, on the card. */
export function goToProblem(problem: Problem): void {
  if (!goToPath(problem.node)) {
    showPanel("bottom", "problems");
    return;
  }
  const node = problem.node?.split("/").at(-1) ?? "";
  if (problem.input === null) return focusCard(node);
  showPanel("right", "inspector");
  focusField(problem.input, node);
}

/** The field of an input in the inspector, once it is on the page. */
function focusField(input: string, node: string, tries = 20): void {
  const label = [...document.querySelectorAll<HTMLLabelElement>('[data-region="inspector"] .inspect__label')].find((one) => one.title === input);
  const row = label?.closest(".inspect__item");
  const field = row?.querySelector<HTMLElement>("input:not([type=hidden]), textarea, select, [role=combobox], [role=radio][tabindex='0'], button:not(.reset)");
  if (field) field.focus();
  else if (tries > 0) requestAnimationFrame(() => focusField(input, node, tries - 1));
  else focusCard(node);
}

let at = { tab: "", key: "" };
const keyOf = (problem: Problem) => `${problem.code} ${problem.node ?? ""} ${problem.input ?? ""} ${problem.message}`;

/** The problem after, or before, the one that was gone to last. */
export function stepProblem(by: 1 | -1): void {
  const tab = tabOf();
  if (!tab) return;
  const list = sortedProblems(planOf(tab.id).problems);
  if (list.length === 0) return say("no problems");
  const last = at.tab === tab.id ? list.findIndex((one) => keyOf(one) === at.key) : -1;
  const index = last < 0 ? (by > 0 ? 0 : list.length - 1) : (last + by + list.length) % list.length;
  const problem = list[index];
  if (!problem) return;
  at = { tab: tab.id, key: keyOf(problem) };
  say(`${counted(index + 1, "problem", "problem").replace(/ problem$/, "")} of ${list.length}: ${placeWords(problem)}. ${problem.message}`);
  goToProblem(problem);
}

/** Does what a button of a problem offers. */
export function doFix(problem: Problem, fix: ProblemFix): void {
  const tab = tabOf();
  if (!tab) return;
  if ("edit" in fix) {
    useWorkspace.getState().edit(fix.edit(tab.history.document));
    return;
  }
  goToProblem(problem);
  const { node, input } = problem;
  if (fix.go === "link" && node !== null && input !== null && useCatalogue.getState().catalogue) {
    requestAnimationFrame(() => requestAnimationFrame(() => linkInput(node.split("/").at(-1) ?? "", input)));
  }
}
