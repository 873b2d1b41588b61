/** Panels by name: each part of the editor brings its own, and the frame shows them. */
import type { ComponentType } from "react";
import type { Side } from "../state/preferences";

export interface PanelSpec {
  readonly id: string;
  readonly side: Side;
  readonly title: string;
  readonly icon: string;
  /** The key that opens it on the canvas. */
  readonly key: string;
  /** `phone`: in the phone view, where rows are as high as a thumb. */
  readonly component: ComponentType<{ readonly phone?: boolean }>;
  /** A number beside its title, kept up to date by the component itself: a hook. */
  useCount?(): { readonly count: number; readonly tone?: "failed" | "work" } | null;
  /** What stands at the right of the tabs while the panel is open. */
  readonly aside?: ComponentType;
}

const panels: PanelSpec[] = [];

/** Adds panels, in the order in which they are shown. */
export function registerPanels(more: readonly PanelSpec[]): void {
  for (const panel of more) {
    const at = panels.findIndex((other) => other.id === panel.id);
    if (at < 0) panels.push(panel);
    else panels[at] = panel;
  }
}

export function panelsOf(side: Side): readonly PanelSpec[] {
  return panels.filter((panel) => panel.side === side);
}

export function panelOf(id: string): PanelSpec | undefined {
  return panels.find((panel) => panel.id === id);
}
