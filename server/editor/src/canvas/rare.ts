import { laterActs } from "../marks/later";

/** The acts of rareActs.ts, which come when the page is idle. */
export const rare = laterActs(() => import("./rareActs"));
