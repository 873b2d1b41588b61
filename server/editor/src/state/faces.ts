/** How a node stands, in words: the table of DESIGN.md, 4, as plain functions of what is known. */
import type { PlanNode, Problem } from "../service/types";
import type { Face, NodeRun } from "./types";
import { about, counted, duration } from "./words";

/** Everything that a face is made of; what is not known is absent. */
export interface Known {
  readonly mode: "mute" | "bypass" | null;
  /** The catalogue is there and has no such type, nor has the document. */
  readonly missing: boolean;
  readonly isDefinition: boolean;
  /** How many nodes a definition has inside. */
  readonly inside: number;
  /** The muted node that this one takes from. */
  readonly mutedSource: string | null;
  /** Errors of this node. */
  readonly problems: readonly Problem[];
  /** The node upstream whose problem or failure this one waits for. */
  readonly blockedBy: { readonly id: string; readonly failed: boolean } | null;
  readonly plan: PlanNode | null;
  /** Whether the plan is one of the document as it is; else it is what was last known. */
  readonly planned: boolean;
  readonly run: NodeRun | null;
  readonly job: "queued" | "running" | "ended" | null;
  /** The run's end is still the truth: nothing that runs was edited since. */
  readonly fresh: boolean;
  /** How many jobs are before the queued one. */
  readonly before: number | null;
  readonly lost: boolean;
  /** What was expected of this node before the run. */
  readonly expected: number | null;
  /** Files that it made. */
  readonly opens: boolean;
  /** A replacement is known for a type that is not installed. */
  readonly replaceable: boolean;
  /** Seconds since 1970. */
  readonly now: number;
  /** The picture of the last run, and that run's number. */
  readonly last: { readonly source: string; readonly number: number } | null;
}

const OUT = { icon: "mute", aside: "" } as const;

/** The face of a node. The first row that fits is taken. */
export function faceOf(known: Known): Face {
  const face = rowOf(known);
  const picture = pictureOf(known);
  return picture ? { ...face, picture } : face;
}

function rowOf(known: Known): Face {
  const { run, job } = known;
  if (known.mode === "mute") return { state: "muted", words: "muted", ...OUT };
  if (known.mutedSource !== null) return { state: "left-out", words: `left out, ${known.mutedSource} is muted`, ...OUT };
  if (known.mode === "bypass") return { state: "bypassed", words: "bypassed", aside: "", icon: "bypass" };
  if (known.missing) {
    const face: Face = { state: "missing", words: "not installed", aside: "", icon: "help" };
    return known.replaceable ? { ...face, links: ["Replace"] } : face;
  }
  if (job === "running" && run?.state === "running") return known.lost ? last(running(known, run)) : running(known, run);
  if (run?.state === "failed" && (job === "running" || known.fresh)) return failed(run);
  if (known.problems.length > 0) return problem(known);
  if (known.blockedBy) {
    const { id, failed } = known.blockedBy;
    return { state: "blocked", words: failed ? `${id} failed` : `waits for ${id}`, aside: "", icon: "dash" };
  }
  if (job === "running" || job === "queued") return known.lost ? last(active(known)) : active(known);
  if (run && known.fresh && job === "ended") {
    const face = settled(run, known);
    if (face) return face;
  }
  return planned(known);
}

// -- while a job runs or waits

function active(known: Known): Face {
  const { run, plan } = known;
  if (run) {
    const face = settled(run, known);
    if (face) return face;
  }
  if (plan?.will === "cached" || plan?.will === "skip") return fromPlan(known, plan);
  const before = known.job === "queued" ? known.before : null;
  const expected = known.expected ?? plan?.seconds ?? null;
  const aside = before !== null && before > 0 ? `${before} before it` : expected === null ? "" : about(expected);
  return { state: "waits", words: "waits", aside, icon: "clock" };
}

function running(known: Known, run: NodeRun): Face {
  const base = { state: "running", icon: "arc", turns: true } as const;
  if (run.items && run.items.of > 0) {
    const { done, of } = run.items;
    const left = leftOf(known, run, done, of);
    const words = `item ${Math.min(done + 1, of)} of ${of}`;
    return { ...base, words, aside: left, bar: done / of, items: run.items };
  }
  if (run.inner) {
    const { name, done, of } = run.inner;
    const elapsed = run.began === undefined ? "" : duration(known.now - run.began);
    return { ...base, words: `${name}, ${done} of ${of}`, aside: elapsed, bar: of > 0 ? done / of : 0 };
  }
  if (run.total !== undefined && run.total > 0 && run.step !== undefined) {
    const words = `step ${run.step} of ${run.total}`;
    const bar = Math.min(1, run.step / run.total);
    if (run.resumed) return { ...base, icon: "forward", turns: false, words, aside: `${run.resumed} were there`, bar };
    return { ...base, words, aside: leftOf(known, run, run.step, run.total), bar };
  }
  const elapsed = run.began === undefined ? 0 : known.now - run.began;
  return { ...base, words: run.message || "running", aside: elapsed >= 0.1 ? duration(elapsed) : "" };
}

/** "4.5 s left", by the pace of this run; before there is one, by what was expected. */
function leftOf(known: Known, run: NodeRun, done: number, of: number): string {
  const { paced, began } = run;
  if (paced && done > paced.step && known.now > paced.time) {
    return `${duration(((known.now - paced.time) / (done - paced.step)) * (of - done))} left`;
  }
  if (run.items && began !== undefined && done > 0) return `${duration(((known.now - began) / done) * (of - done))} left`;
  if (known.expected !== null && began !== undefined) {
    const left = known.expected - (known.now - began);
    if (left > 0.5) return `${duration(left)} left`;
  }
  return "";
}

// -- what came of a node in a run

function settled(run: NodeRun, known: Known): Face | null {
  if (run.state === "done") {
    const face: Face = { state: "done", words: "done", aside: duration(run.seconds ?? 0), icon: "check" };
    return known.opens ? { ...face, aside: "", links: ["Open"] } : face;
  }
  if (run.state === "cached") return cached(run.tier ?? "memory", known, run.reason);
  if (run.state === "failed") return failed(run);
  if (run.state === "skipped") {
    return { state: "blocked", words: "not called", aside: "", icon: "dash", ...(run.reason && { tip: run.reason }) };
  }
  return null;
}

function failed(run: NodeRun): Face {
  const message = run.error?.message;
  const face: Face = { state: "failed", words: "failed", aside: "", icon: "error", links: ["Log", "Retry"] };
  return message ? { ...face, message } : face;
}

function cached(tier: "memory" | "disk" | "unneeded", known: Known, reason?: string): Face {
  const aside = known.isDefinition && tier === "unneeded" && known.inside > 0 ? counted(known.inside, "node") + " inside" : "";
  const tip = reason ? { tip: reason } : {};
  if (tier === "unneeded") return { state: "unneeded", words: "not needed", aside, icon: "dash", ...tip };
  return { state: tier, words: `from ${tier}`, aside, icon: tier, ...tip };
}

// -- before a run

function problem(known: Known): Face {
  const first = known.problems[0];
  const seconds = known.plan?.seconds;
  return {
    state: "problem",
    words: counted(known.problems.length, "problem"),
    aside: seconds === undefined ? "" : about(seconds),
    icon: "error",
    ...(first && { message: first.message }),
  };
}

function planned(known: Known): Face {
  const { plan, run } = known;
  if (known.planned && plan && !known.lost) return fromPlan(known, plan);
  if (plan) return last(fromPlan(known, plan));
  const face = run ? settled(run, known) : null;
  return face ? last(face) : { state: "unknown", words: "not asked yet", aside: "", icon: "ring" };
}

function fromPlan(known: Known, plan: PlanNode): Face {
  const tip = plan.reason ? { tip: plan.reason } : {};
  const aside = plan.seconds === undefined ? "" : about(plan.seconds);
  switch (plan.will) {
    case "cached":
      return cached(plan.tier ?? "memory", known, plan.reason);
    case "skip":
      return cached("unneeded", known, plan.reason);
    case "resume":
      return { state: "will-run", words: `goes on at step ${plan.steps ?? 0}`, aside, icon: "forward", ...tip };
    case "unknown":
      return { state: "will-run", words: "may run", aside, icon: "play", tip: plan.reason ?? "This depends on what others give." };
    case "run": {
      if (plan.rewrites) return { state: "disk", words: "written again", aside: "", icon: "disk", ...tip };
      const items = plan.items === undefined ? "" : counted(plan.items - (plan.items_cached ?? 0), "item");
      return { state: "will-run", words: "will run", aside: aside || items, icon: "play", ...tip };
    }
  }
}

/** What was last known, where it cannot be known now. */
function last(face: Face): Face {
  const { bar: _bar, turns: _turns, links: _links, message: _message, ...rest } = face;
  const words = face.words.startsWith("last: ") ? face.words : `last: ${face.words}`;
  return { ...rest, state: "unknown", words, aside: "", icon: face.icon === "arc" ? "ring" : face.icon };
}

function pictureOf(known: Known): Face["picture"] | null {
  const { run, job } = known;
  if (run?.preview && job === "running") {
    const steps = run.items ?? (run.step !== undefined && run.total ? { done: run.step, of: run.total } : null);
    return { source: run.preview, corner: steps ? `${steps.done} / ${steps.of}` : "" };
  }
  return known.last ? { source: known.last.source, corner: known.last.number ? `of run ${known.last.number}` : "" } : null;
}
