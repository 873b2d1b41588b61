/** Problems of one card, with the acts that end them. */
import { useMemo } from "react";
import { inputOf } from "../document/graph";
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
  return fixes.filter((fix) => fix.act !== "choose-file" && fix.act !== "rename").map((fix) => ({ label: fix.label, run: () => runFix(node, input, fix) }));
}

function runFix(node: string, input: string, fix: Fix): void {
  if (fix.act === "set") changeField(node, input, fix.value, true);
  else if (fix.act === "reset" || fix.act === "remove") changeField(node, input, undefined, true);
  else if (fix.act === "unlink") removeWire({ node, input, index: null });
  else if (fix.act === "link") rare(({ linkInput }) => void linkInput(node, input));
}
