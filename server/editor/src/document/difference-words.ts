/** A difference between two workflows as a line to read. */
import { type Difference, valueWords } from "./difference";

/** "sega.scale: 2.0, now 0.0", "sega is new", "image is gone". */
export function differenceWords(difference: Difference): string {
  const { node, input, what } = difference;
  const where = [node, input].filter(Boolean).join(".");
  const was = valueWords(difference.was);
  const now = valueWords(difference.now);
  switch (what) {
    case "added":
      return `${where || "the workflow"} is new`;
    case "removed":
      return `${where || "the workflow"} is gone`;
    case "type":
      return `${where} is of type ${now}, was ${was}`;
    case "mode":
      return `${where}: ${was || "on"}, now ${now || "on"}`;
    default:
      return `${where || what}: ${was || "nothing"}, now ${now || "nothing"}`;
  }
}
