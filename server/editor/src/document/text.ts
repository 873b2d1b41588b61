/** A document's text: read strictly, written as Weft writes it. */
import { formFaults } from "./shape";
import { type Unreadable, prettyJson, readJson } from "./json";
import { plainOf } from "./objects";
import type { Problem } from "./problem";
import type { Document } from "./types";

/** Why a document cannot be opened: one sentence for a notice, and all problems where its form is wrong. */
export interface Unopened extends Unreadable {
  readonly problems?: readonly Problem[];
}

/** The document of a text. Refused is what `weft check` cannot read either: the sentences are the same. */
export function parseDocument(text: string): { readonly document: Document } | Unopened {
  const read = readJson(text);
  if ("problem" in read) return read;
  const problems = formFaults(read.value);
  const first = problems[0];
  if (first) return { problem: first.message, problems };
  return { document: read.value as unknown as Document };
}

/** The text of a document, with a newline at its end. What Weft wrote comes out as it was, to the byte. */
export function documentText(document: Document): string {
  return `${prettyJson(document)}\n`;
}

/** A document without nodes. */
export function emptyDocument(): Document {
  return plainOf({ weft: 1, nodes: {} }) as unknown as Document;
}
