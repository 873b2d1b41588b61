/** What the server has: node types, models, examples, saved workflows, and how it is. */
import { create } from "zustand";
import { Catalogue } from "../catalogue/catalogue";
import { learnKinds } from "../catalogue/typeexpr";
import { api } from "../service/api";
import type { Example, Listed, ModelInfo, System } from "../service/types";

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

/** Asks for the node types again; nothing changes where they are the same. */
export async function refreshNodes(): Promise<void> {
  const before = useCatalogue.getState().catalogue;
  // Without the table what is built in stays: an int fits a float.
  const [found] = await Promise.all([api.nodes(before?.etag), api.types().then(learnKinds).catch(() => undefined)]);
  if (!found) return;
  useCatalogue.setState({ catalogue: new Catalogue(found.value, found.etag) });
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
  await refreshNodes();
  await Promise.allSettled([refreshModels(), refreshWorkflows(), refreshSystem(), refreshExamples()]);
}
