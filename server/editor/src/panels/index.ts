/** The panels of the editor, in the order in which they are shown. Their code comes when they are opened, or when the page is idle. */
import type { PanelSpec } from "../keys/panels";
import { later } from "../marks/later";
import { useProblemCount, useRunCount } from "./counts";
import { lazily } from "./lazily";

const Add = lazily(async () => (await import("./Add")).Add);
const Outline = lazily(async () => (await import("./Outline")).Outline);
const Files = lazily(async () => (await import("./Files")).Files);
const Examples = lazily(async () => (await import("./Examples")).Examples);
const Inspector = lazily(async () => (await import("./Inspector")).Inspector);
const Runs = lazily(async () => (await import("./Runs")).Runs);
const Gallery = lazily(async () => (await import("./Gallery")).Gallery);
const Problems = lazily(async () => (await import("./Problems")).Problems);
const ProblemsAside = later(async () => (await import("./Problems")).ProblemsAside);
const Timeline = lazily(async () => (await import("./Timeline")).Timeline);
const TimelineAside = later(async () => (await import("./Timeline")).TimelineAside);
const Training = lazily(async () => (await import("./Training")).Training);

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
