/** Problems of one card, with the acts that end them. */
import { useMemo } from "react";
import { inputOf, isLink } from "../document/graph";
import { isList } from "../document/objects";
import type { Problem } from "../service/types";
import { usePlan } from "../state/plans";
import { fixesOf, type Fix } from "../widgets/fixes";
import { here } from "./acts";
import { changeField } from "./cardActs";
import type { ProblemModel } from "./model";
import { rare } from "./rare";
import { removeWire } from "./wireActs";

const NONE: readonly Problem[] = [];
const known = new WeakMap<readonly Problem[], Map<string, readonly Problem[]>>();

/** Problems of a node: the same list while the plan's is the same, so that other cards do not render. */
function ofNode(problems: readonly Problem[], path: string): readonly Problem[] {
  let byNode = known.get(problems);
  if (byNode === undefined) {
    byNode = new Map();
    for (const problem of problems) {
      if (problem.node === null) continue;
      byNode.set(problem.node, [...(byNode.get(problem.node) ?? []), problem]);
    }
    known.set(problems, byNode);
  }
  return byNode.get(path) ?? NONE;
}

export function useCardProblems(tab: string, path: string): readonly ProblemModel[] {
  const problems = usePlan((state) => ofNode(state.ofTab.get(tab)?.problems ?? NONE, path));
  return useMemo(() => problems.map((problem) => ({ problem, fixes: fixesFor(path, problem) })), [problems, path]);
}

function fixesFor(path: string, problem: Problem): ProblemModel["fixes"] {
  const now = here();
  const { input } = problem;
  if (now === null || input === null) return [];
  const node = path.slice(path.lastIndexOf("/") + 1);
  const type = now.catalogue.input(now.document, now.place, node, input);
  const fixes = fixesOf(problem, type, inputOf(now.document, now.place, node, input));
  return fixes.filter((fix) => fix.act !== "choose-file" && fix.act !== "rename").map((fix) => ({ label: fix.label, run: () => runFix(node, input, fix, problem) }));
}

/** Which link of a list is wrong, so that the others stay; null where the input is no list. */
function wrongItem(node: string, input: string, problem: Problem): number | null {
  const now = here();
  const value = now === null ? undefined : inputOf(now.document, now.place, node, input);
  if (!isList(value)) return null;
  const given = typeof problem.given === "string" ? problem.given : isLink(problem.given) ? problem.given.link : null;
  const at = value.findIndex((item) => isLink(item) && item.link === given);
  return at < 0 ? null : at;
}

function runFix(node: string, input: string, fix: Fix, problem: Problem): void {
  if (fix.act === "set") changeField(node, input, fix.value, true);
  else if (fix.act === "reset" || fix.act === "remove") changeField(node, input, undefined, true);
  else if (fix.act === "unlink") removeWire({ node, input, index: wrongItem(node, input, problem) });
  else if (fix.act === "link") rare(({ linkInput }) => void linkInput(node, input));
}
