/** The panels of the editor, in the order in which they are shown. */
import type { PanelSpec } from "../keys/panels";
import { later } from "../marks/later";

const Inspector = later(async () => (await import("./Inspector")).Inspector);
const Outline = later(async () => (await import("./Outline")).Outline);

export const panels: readonly PanelSpec[] = [
  { id: "outline", side: "left", title: "Outline", icon: "tree", key: "2", component: Outline },
  { id: "inspector", side: "right", title: "Inspector", icon: "settings", key: "5", component: Inspector },
];
