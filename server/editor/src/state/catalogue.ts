/** What the server has: node types, models, examples, saved workflows, and how it is. */
import { create } from "zustand";
import { Catalogue } from "../catalogue/catalogue";
import { learnKinds } from "../catalogue/typeexpr";
import { api } from "../service/api";
import { Refused, words } from "../service/refused";
import type { Example, Listed, ModelInfo, System } from "../service/types";
import { useConnection } from "./connection";
import { useNotices } from "./notices";

export interface Served {
  readonly catalogue: Catalogue | null;
  readonly models: readonly ModelInfo[];
  readonly system: System | null;
  readonly examples: readonly Example[];
  readonly workflows: readonly Listed[];
}

export const useCatalogue = create<Served>(() => ({
  catalogue: null,
  models: [],
  system: null,
  examples: [],
  workflows: [],
}));

/** A question under way; who asks meanwhile waits for the same answer. */
let asked: Promise<void> | null = null;

/** Asks for the node types again; nothing changes where they are the same. */
export function refreshNodes(): Promise<void> {
  asked ??= askNodes().finally(() => (asked = null));
  return asked;
}

async function askNodes(): Promise<void> {
  const before = useCatalogue.getState().catalogue;
  // Without the table what is built in stays: an int fits a float.
  const [found] = await Promise.all([api.nodes(before?.etag), api.types().then(learnKinds).catch(() => undefined)]);
  if (found) useCatalogue.setState({ catalogue: new Catalogue(found.value, found.etag) });
  again?.();
  useNotices.getState().close(NOTICE);
}

const NOTICE = "catalogue";
const FIRST_DELAY = 500;
const LONGEST_DELAY = 30_000;

/** Ends the waiting for the next question, where one waits. */
let again: (() => void) | null = null;

/**
 * Asks for the node types until they come: without them there is nothing to draw. A failure is said, and asked again after
 * a while that grows; while the connection is lost nothing is asked, since all is asked when it is back. Gives whether they
 * came at once; a server that wants a token is not asked again.
 */
export async function keepAskingNodes(delay = FIRST_DELAY): Promise<boolean> {
  again?.();
  try {
    await refreshNodes();
    return true;
  } catch (error) {
    if (error instanceof Refused && error.status === 401) throw error;
    sayMissing(error);
    again?.(); // two who asked together heard the same no
    const timer = setTimeout(() => {
      again = null;
      if (useConnection.getState().state === "lost") return;
      keepAskingNodes(Math.min(delay * 2, LONGEST_DELAY)).catch(() => {});
    }, delay);
    again = () => {
      clearTimeout(timer);
      again = null;
    };
    return false;
  }
}

function sayMissing(error: unknown): void {
  if (useConnection.getState().state === "lost") return; // that is said already
  const there = useCatalogue.getState().catalogue !== null;
  useNotices.getState().say({
    id: NOTICE,
    kind: "warn",
    head: there ? "The node types are not up to date." : "The node types did not come.",
    text: `${words(error)} They are asked for again.`,
    actions: [{ label: "Ask now", run: () => void keepAskingNodes().catch(() => {}) }],
    stays: true,
  });
}

export async function refreshModels(): Promise<void> {
  useCatalogue.setState({ models: await api.models() });
}

export async function refreshSystem(): Promise<void> {
  useCatalogue.setState({ system: await api.system() });
}

export async function refreshWorkflows(): Promise<void> {
  useCatalogue.setState({ workflows: await api.workflows() });
}

export async function refreshExamples(): Promise<void> {
  if (useCatalogue.getState().examples.length === 0) useCatalogue.setState({ examples: await api.examples() });
}

/** Asks for everything. What fails stays as it was; the node types come first, since all else waits for them. */
export async function refreshAll(): Promise<void> {
  await keepAskingNodes();
  await Promise.allSettled([refreshModels(), refreshWorkflows(), refreshSystem(), refreshExamples()]);
}
