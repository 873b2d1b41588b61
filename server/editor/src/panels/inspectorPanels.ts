/** The panels of this part, as the frame lists them. */
import { Inspector } from "./Inspector";
import { Outline } from "./Outline";

export const inspectorPanels = [
  { id: "outline", side: "left", title: "Outline", icon: "tree", key: "2", component: Outline },
  { id: "inspector", side: "right", title: "Inspector", icon: "settings", key: "5", component: Inspector },
] as const;
