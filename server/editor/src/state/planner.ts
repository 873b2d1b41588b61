/** Asks what a run would do: 150 ms after an edit, at most one question under way, the latest document wins. */
import { links } from "../document/graph";
import { jsonText } from "../document/json";
import { entriesOf, keysOf, own } from "../document/objects";
import type { Document } from "../document/types";
import { api } from "../service/api";
import { Unreachable } from "../service/refused";
import type { Plan, PlanNode, Problem } from "../service/types";
import { sameContent } from "./context";
import { planOf, usePlan } from "./plans";
import { shownRun } from "./runs";
import { tabOf, useWorkspace } from "./workspace";

const PAUSE = 150;

/** Counts how often all answers went out of date: one that was asked for before says nothing of now. */
let age = 0;

/** The form check, for when no server answers. */
let formProblems: ((document: Document) => readonly Problem[]) | null = null;

/** Fetches what is said without a server, while there is one: it is no part of the first load. */
export async function readyForSilence(): Promise<void> {
  formProblems ??= (await import("../document/check")).formProblems;
}

let timer: ReturnType<typeof setTimeout> | null = null;
let under: Promise<void> | null = null;
/** The tab whose plan is wanted while another question is under way. */
let wanted: string | null = null;

/** Looks at the current tab, and asks when what it runs is not what was asked about. */
export function watchPlans(): () => void {
  const look = () => {
    const tab = tabOf();
    if (tab && !sameQuestion(planOf(tab.id).about, tab.history.document)) askSoon(tab.id);
  };
  look();
  const stop = useWorkspace.subscribe((now, before) => {
    if (now.tabs === before.tabs && now.current === before.current) return;
    for (const tab of before.tabs) if (!now.tabs.some(({ id }) => id === tab.id)) usePlan.getState().drop(tab.id);
    look();
  });
  return () => {
    stop();
    if (timer !== null) clearTimeout(timer);
    timer = null;
  };
}

/** The cache or the server is another one: what is known of the current tab is asked for again, and others' later. */
export function planAgain(): void {
  age += 1;
  const { current, tabs } = useWorkspace.getState();
  for (const { id } of tabs) if (planOf(id).about !== null) usePlan.getState().set(id, { about: null });
  if (current !== null) askSoon(current);
}

/** The clock is not set back by further edits: who drags a number for long gets plans meanwhile. */
function askSoon(tab: string): void {
  wanted = tab;
  timer ??= setTimeout(() => {
    timer = null;
    under ??= work().finally(() => {
      under = null;
    });
  }, PAUSE);
}

async function work(): Promise<void> {
  while (wanted !== null && timer === null) {
    const tab = tabOf(wanted);
    wanted = null;
    if (tab) await planNow(tab.id);
  }
}

/** Asks at once, and gives what is known then. */
export async function planNow(id: string): Promise<void> {
  const tab = tabOf(id);
  if (!tab) return;
  const document = tab.history.document;
  const asked = age;
  const { set } = usePlan.getState();
  set(id, { asked: "asking" });
  try {
    const found = await planOfDocument(document, () => ranAlready(id, document));
    const now = tabOf(id);
    if (!now) return;
    // An answer about an older document is still the best that there is, and says so.
    set(id, { ...found, asked: sameQuestion(document, now.history.document) ? "known" : "asking", about: asked === age ? document : null });
  } catch (error) {
    // A refusal will be the same next time; silence is asked again when the server is back.
    const about = error instanceof Unreachable ? null : document;
    if (!tabOf(id)) return;
    // What is wrong with the form is known without a server.
    set(id, { asked: "failed", about, ...(about === null && formProblems && { problems: formProblems(document) }) });
  }
}

/** The same nodes and definitions: what else a document has does not run, but parameters may be wrong. */
function sameQuestion(a: unknown, b: Document): boolean {
  if (a === null || a === undefined) return false;
  const other = a as Document;
  return other.nodes === b.nodes && other.definitions === b.definitions && other.parameters === b.parameters;
}

interface Answer {
  readonly problems: readonly Problem[];
  readonly nodes: ReadonlyMap<string, PlanNode>;
  readonly seconds: number | null;
  readonly counts: { readonly run: number; readonly of: number };
}

/** Whether the tab's last run was of this and came to its end: then its files are as they would be. */
function ranAlready(id: string, document: Document): boolean {
  const run = shownRun(id);
  return run?.job.state === "done" && sameContent(run.document, document);
}

async function planOfDocument(document: Document, ranAlready: () => boolean): Promise<Answer> {
  if (keysOf(document.nodes).length === 0) return { problems: [], nodes: new Map(), seconds: 0, counts: { run: 0, of: 0 } };
  const plan = await api.plan(jsonText(document));
  const errors = plan.problems.filter((problem) => problem.severity === "error");
  if (errors.length === 0) return answerOf(plan, plan.problems, ranAlready());
  // What has no part in the problems is planned without them, so that it says what it would do.
  const rest = withoutProblems(document, errors);
  if (rest === null) return answerOf({ problems: plan.problems }, plan.problems, false);
  const second = await api.plan(jsonText(rest.document), rest.targets);
  return answerOf(second, plan.problems, false);
}

function answerOf(plan: Plan, problems: readonly Problem[], ranAlready: boolean): Answer {
  const nodes = new Map(Object.entries(plan.nodes ?? {}));
  for (const id of rewritten(nodes, ranAlready)) nodes.set(id, { ...(nodes.get(id) as PlanNode), rewrites: true });
  let run = 0;
  let of = 0;
  for (const node of nodes.values()) {
    if (node.steers) continue;
    of += 1;
    if (works(node) && !node.rewrites) run += 1;
  }
  return { problems, nodes, seconds: plan.seconds ?? null, counts: { run, of } };
}

const works = ({ will }: PlanNode): boolean => will === "run" || will === "resume" || will === "unknown";

/**
 * Nodes that would only write files that they wrote before: nothing else is to do, and nothing that they take is another
 * since they ran. A server that was started again may have forgotten that; the tab knows what it ran.
 */
function rewritten(nodes: ReadonlyMap<string, PlanNode>, ranAlready: boolean): string[] {
  const found: string[] = [];
  for (const [id, node] of nodes) {
    if (!works(node) || node.steers) continue;
    if (!node.writes || (node.why?.length && !ranAlready)) return [];
    found.push(id);
  }
  return found;
}

/** The document with faulty nodes muted, and what is at its ends then. Null when nothing is left. */
function withoutProblems(document: Document, errors: readonly Problem[]): { document: Document; targets: string[] } | null {
  const faulty = new Set<string>();
  for (const { node } of errors) if (node !== null) faulty.add(node.split("/")[0] ?? node);
  if (faulty.size === 0) return null;
  const out = new Set(faulty);
  for (const [id, spec] of entriesOf(document.nodes)) if (spec.mode === "mute") out.add(id);
  const users = new Map<string, string[]>();
  for (const link of links(document.nodes)) {
    const list = users.get(link.source);
    if (list) list.push(link.target);
    else users.set(link.source, [link.target]);
  }
  for (const id of out) for (const user of users.get(id) ?? []) out.add(user);
  const left = keysOf(document.nodes).filter((id) => !out.has(id));
  const targets = left.filter((id) => {
    const spec = own(document.nodes, id);
    return spec?.mode !== "bypass" && !(users.get(id) ?? []).some((user) => !out.has(user));
  });
  if (targets.length === 0) return null;
  const nodes = Object.fromEntries(entriesOf(document.nodes).map(([id, spec]) => [id, faulty.has(id) ? { ...spec, mode: "mute" as const } : spec]));
  const { parameters: _, ...rest } = document;
  return { document: { ...rest, nodes } as Document, targets };
}

/** For tests: forgets what is under way. */
export function resetPlanner(): void {
  if (timer !== null) clearTimeout(timer);
  timer = null;
  under = null;
  wanted = null;
}
