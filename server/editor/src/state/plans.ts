/** What a run would do, by tab: asked for a moment after an edit, one at a time, the latest wins. */
import { create } from "zustand";
import type { PlanState } from "./types";

export interface Plans {
  readonly ofTab: ReadonlyMap<string, PlanState>;
  set(tab: string, change: Partial<PlanState>): void;
  drop(tab: string): void;
}

const NOTHING: PlanState = {
  asked: "never",
  problems: [],
  nodes: new Map(),
  seconds: null,
  counts: { run: 0, of: 0 },
  about: null,
};

export const usePlan = create<Plans>((set) => ({
  ofTab: new Map(),
  set(tab, change) {
    set(({ ofTab }) => ({ ofTab: new Map(ofTab).set(tab, { ...(ofTab.get(tab) ?? NOTHING), ...change }) }));
  },
  drop(tab) {
    set(({ ofTab }) => {
      const next = new Map(ofTab);
      next.delete(tab);
      return { ofTab: next };
    });
  },
}));

/** The plan of a tab. */
export function planOf(tab: string): PlanState {
  return usePlan.getState().ofTab.get(tab) ?? NOTHING;
}

export { NOTHING as NO_PLAN };
