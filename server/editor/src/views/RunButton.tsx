/** Run: says how much there is to do before it is done, and beside it what runs now. */
import { useEffect, useState } from "react";
import { Icon } from "../marks";
import { runCommand } from "../keys/commands";
import { cancel, run } from "../state/actions";
import { useConnection } from "../state/connection";
import { NO_PLAN, usePlan } from "../state/plans";
import { ended } from "../state/reduce";
import { useRuns } from "../state/runs";
import type { PlanState, RunInfo, Tab } from "../state/types";
import { about, counted, duration } from "../state/words";
import { MenuButton } from "./Menu";
import { commandItems } from "./items";

/** The commands of the menu beside Run. */
export const WAYS = ["run.run", "run.here", "run.first", "-", "run.sweep", "run.live"];

/** What a plan says of the next run: "4 of 16, ≈ 13 s", "nothing to do". */
export function planWords(plan: PlanState): string {
  if (plan.asked === "never" || plan.asked === "failed") return "";
  if (plan.about === null) return ""; // a run has ended since: what is there is another thing now
  const { run: count, of } = plan.counts;
  if (of === 0) return "";
  if (count === 0) return "nothing to do";
  return `${count} of ${of}${plan.seconds === null ? "" : `, ${about(plan.seconds)}`}`;
}

/** "8.4 of ≈ 13 s", or "8.4 s" where it is not known how long it takes. */
function runningWords(info: RunInfo, now: number): string {
  const began = info.job.started;
  if (began === null) return info.job.position ? `${info.job.position} before it` : "waits";
  const seconds = Math.max(0, now / 1000 - began);
  const expected = info.expectedSeconds;
  return expected ? `${duration(seconds).replace(/ s$/, "")} of ${about(Math.max(expected, seconds))}` : duration(seconds);
}

/** The time, each half second while something asks for it. */
function useNow(on: boolean): number {
  const [now, setNow] = useState(Date.now);
  useEffect(() => {
    if (!on) return;
    setNow(Date.now());
    const timer = setInterval(() => setNow(Date.now()), 500);
    return () => clearInterval(timer);
  }, [on]);
  return now;
}

/** The newest job of a tab that has not ended. */
export function useActive(tab: Tab | undefined): RunInfo | undefined {
  return useRuns((state) => {
    for (const id of (tab && state.ofTab.get(tab.id)) ?? []) {
      const info = state.jobs.get(id);
      if (info && !ended(info.job)) return info;
    }
    return undefined;
  });
}

export function RunButton({ tab, large }: { readonly tab: Tab | undefined; readonly large?: boolean }) {
  const plan = usePlan((state) => (tab && state.ofTab.get(tab.id)) ?? NO_PLAN);
  const lost = useConnection((state) => state.state === "lost");
  const unsent = useRuns((state) => (tab && state.unsent.get(tab.id)) ?? 0);
  const active = useActive(tab);
  const now = useNow(active !== undefined);
  const problems = plan.problems.filter((problem) => problem.severity === "error").length;
  const empty = !tab || Object.keys(tab.history.document.nodes).length === 0;
  const size = large ? " button--large" : "";
  const words = planWords(plan);
  return (
    <>
      {active && (
        <button type="button" className={`button button--stop${size}`} onClick={() => void cancel(tab?.id)}>
          <Icon name="stop" small />
          Cancel <span className="quiet plain">{runningWords(active, now)}</span>
        </button>
      )}
      {problems > 0 && !lost && (
        <button type="button" className={`button button--failed${size}`} onClick={() => runCommand("problems.next")}>
          <Icon name="error" small />
          {counted(problems, "problem")}
        </button>
      )}
      <div className={`button-pair${large ? " button-pair--wide" : tab ? "" : " button-pair--one"}`}>
        <button
          type="button"
          className={`button button--work${size}`}
          disabled={empty || (problems > 0 && !lost)}
          onClick={() => void run(tab?.id)}
        >
          <Icon name="play" small />
          {lost ? "Queue" : "Run"}
          {!active && problems === 0 && !lost && words && <span className="aside">{words}</span>}
          {lost && unsent > 0 && <span className="aside">{counted(unsent, "waits", "wait")}</span>}
        </button>
        {!large && tab && (
          <MenuButton className="button button--work" label="Ways to run" right disabled={empty} items={() => commandItems(WAYS)}>
            <Icon name="down" small />
          </MenuButton>
        )}
      </div>
    </>
  );
}
