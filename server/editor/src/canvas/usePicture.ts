import { useEffect, useMemo, useState } from "react";
import { nodeFace } from "../state/board";
import { usePlan } from "../state/plans";
import { useRuns } from "../state/runs";
import { tabOf } from "../state/workspace";
import { useCanvas } from "./canvasStore";
import type { Picture } from "./paint";
import { useScene } from "./sceneStore";
import { useWorkspace } from "../state/workspace";

/** At most this often are states drawn anew: a run tells of 20 steps a second. */
const EVERY = 200;

/** What the far view and the minimap draw, with a number that grows when a state has changed. */
export function usePicture(): { picture: Picture; version: number; theme: string } {
  const { blocks, threads, groups, tab, members, prefix } = useScene();
  const found = useCanvas((state) => state.found);
  const chosen = useWorkspace((state) => state.tabs.find((one) => one.id === tab)?.selected);
  const theme = useTheme();
  const version = useStates(tab);
  const picture = useMemo<Picture>(() => ({
    blocks, threads, groups,
    groupOf: members,
    stateOf: (id) => (tab === null ? "unknown" : nodeFace(tab, prefix + id).state),
    chosen: chosen ?? new Set(),
    found,
  }), [blocks, threads, groups, members, tab, prefix, chosen, found]);
  return { picture, version, theme };
}

/** The theme that the page stands in. */
function useTheme(): string {
  const [theme, setTheme] = useState(() => document.documentElement.dataset["theme"] ?? "");
  useEffect(() => {
    const watch = new MutationObserver(() => setTheme(document.documentElement.dataset["theme"] ?? ""));
    watch.observe(document.documentElement, { attributes: true, attributeFilter: ["data-theme"] });
    return () => watch.disconnect();
  }, []);
  return theme;
}

/** A number that grows, seldom, while plans and runs change. */
export function useStates(tab: string | null): number {
  const [version, setVersion] = useState(0);
  useEffect(() => {
    if (tab === null || tabOf(tab) === undefined) return;
    let timer: ReturnType<typeof setTimeout> | null = null;
    const changed = (): void => {
      timer ??= setTimeout(() => {
        timer = null;
        setVersion((last) => last + 1);
      }, EVERY);
    };
    const ends = [usePlan.subscribe(changed), useRuns.subscribe(changed)];
    return () => {
      for (const end of ends) end();
      if (timer !== null) clearTimeout(timer);
    };
  }, [tab]);
  return version;
}
