/** Why a node ran again, in a sentence: which input, version or file changed. */
import type { Change } from "../service/types";

/** "Ran again: scale 0.0 is now 2.0." */
export function whySentence(why: readonly Change[] | undefined, reason: string | undefined): string | null {
  if (why && why.length > 0) {
    const parts = why.slice(0, 3).map(changeWords);
    const more = why.length > 3 ? `, and ${why.length - 3} more` : "";
    return `It ran again: ${parts.join(", ")}${more}.`;
  }
  if (reason) return `${reason.charAt(0).toUpperCase()}${reason.slice(1)}${/[.!?]$/.test(reason) ? "" : "."}`;
  return null;
}

function changeWords(change: Change): string {
  const from = change.was !== undefined && change.now !== undefined ? ` ${change.was} is now ${change.now}` : change.now !== undefined ? ` is now ${change.now}` : " changed";
  switch (change.what) {
    case "input":
      return `${change.input ?? "an input"}${from}`;
    case "upstream":
      return `${change.source ?? "a node before it"} made something else${change.input ? ` for ${change.input}` : ""}`;
    case "version":
      return `its node type has another version${change.was && change.now ? ` (${change.was}, now ${change.now})` : ""}`;
    case "code":
      return "the code of its node type changed";
    case "file":
      return `the file of ${change.input ?? "an input"} changed`;
    case "folder":
      return `the folder of ${change.input ?? "an input"} changed`;
    case "fingerprint":
      return `what ${change.input ?? "it"} reads changed`;
    case "always":
      return "it runs each time";
  }
}
