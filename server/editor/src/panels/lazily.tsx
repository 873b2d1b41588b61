/** Panels whose code comes when the page is idle, or when they are opened. */
import type { ComponentType } from "react";
import { later } from "../marks/later";

/** Stands there until the panel's code has come. */
function Wait() {
  return <p className="panel__wait quiet small">Opening.</p>;
}

export function lazily(load: () => Promise<ComponentType>): ComponentType {
  return later(load, Wait);
}
