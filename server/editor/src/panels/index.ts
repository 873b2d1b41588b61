/** The panels of the editor, in the order in which they are shown. Those that are not needed at first are loaded when they are opened. */
import type { PanelSpec } from "../keys/panels";
import { later } from "../marks/later";
import { Problems, ProblemsAside, useProblemCount } from "./Problems";
import { useRunCount } from "./runCount";

const Inspector = later(async () => (await import("./Inspector")).Inspector);
const Outline = later(async () => (await import("./Outline")).Outline);
const Add = later(async () => (await import("./Add")).Add);
const Files = later(async () => (await import("./Files")).Files);
const Examples = later(async () => (await import("./Examples")).Examples);
const Runs = later(async () => (await import("./Runs")).Runs);
const Gallery = later(async () => (await import("./Gallery")).Gallery);
const Timeline = later(async () => (await import("./Timeline")).Timeline);
const TimelineAside = later(async () => (await import("./Timeline")).TimelineAside);
const Training = later(async () => (await import("./Training")).Training);

export const panels: readonly PanelSpec[] = [
  { id: "add", side: "left", title: "Add a node", icon: "plus", key: "1", component: Add },
  { id: "outline", side: "left", title: "Outline", icon: "tree", key: "2", component: Outline },
  { id: "files", side: "left", title: "Files", icon: "files", key: "3", component: Files },
  { id: "examples", side: "left", title: "Examples", icon: "examples", key: "4", component: Examples },
  { id: "inspector", side: "right", title: "Inspector", icon: "settings", key: "5", component: Inspector },
  { id: "runs", side: "right", title: "Runs", icon: "queue", key: "6", component: Runs, useCount: useRunCount },
  { id: "gallery", side: "right", title: "Gallery", icon: "image", key: "7", component: Gallery },
  { id: "problems", side: "bottom", title: "Problems", icon: "error", key: "8", component: Problems, useCount: useProblemCount, aside: ProblemsAside },
  { id: "timeline", side: "bottom", title: "Timeline", icon: "timeline", key: "9", component: Timeline, aside: TimelineAside },
  { id: "training", side: "bottom", title: "Training", icon: "curve", key: "0", component: Training },
];
