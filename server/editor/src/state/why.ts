/** Why a node ran again, in words: from the events of the run. */
import type { Change } from "../service/types";

/** "seed was 7 and is 8". */
export function changeWords(change: Change): string {
  const { what, input, source, was, now } = change;
  switch (what) {
    case "input":
      if (was === undefined && now === undefined) return `${input} is another one`;
      if (was === undefined) return `${input} is ${now} now`;
      if (now === undefined) return `${input} was ${was} and is not set any more`;
      return `${input} was ${was} and is ${now}`;
    case "upstream":
      return `${source ?? "a node before it"} gives another result`;
    case "version":
      return `the node's version was ${was} and is ${now}`;
    case "code":
      return "the code of its pack has changed";
    case "file":
      return now === undefined ? "a file that it reads has changed" : `the file ${now} has changed`;
    case "folder":
      return `the output folder was ${was} and is ${now}`;
    case "fingerprint":
      return "what it reads outside of the workflow has changed";
    case "always":
      return "it runs each time";
  }
}

/** All of it in one line; empty where nothing is known. */
export function whyWords(changes: readonly Change[] | undefined): string {
  return (changes ?? []).map((change) => change.text ?? changeWords(change)).join(", ");
}
