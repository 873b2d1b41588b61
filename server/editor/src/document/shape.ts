/** What a document has to look like before anything else can be said of it; a part at a time (graphs/reader.py). */
import type { Problem } from "./problem";
import type { Json } from "./types";

/** Every fault of form: the document cannot be opened with any. */
export function formFaults(_data: Json): Problem[] {
  return [];
}
