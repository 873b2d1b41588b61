/** Lists and small forms at a field's edge: drawn when somebody opens one, so they come after the first picture. */
import { later } from "../marks/later";

export type { Option } from "./Picker";

export const Picker = later(async () => (await import("./Picker")).Picker);
export const Popover = later(async () => (await import("./Popover")).Popover);
