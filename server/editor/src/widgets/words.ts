/** Learned words in a text: `<dome>` means what a textual inversion upstream taught the model. */

export interface TextPart {
  readonly text: string;
  /** Absent: plain text. `taught`: a node upstream teaches it; `untaught`: none does; `unsure`: a file that nobody has read might. */
  readonly word?: "taught" | "untaught" | "unsure";
}

/** What the nodes upstream of a text teach. */
export interface Taught {
  readonly words: ReadonlySet<string>;
  /** True when a file teaches words that are not known before it is read. */
  readonly more: boolean;
}

export const NOTHING_TAUGHT: Taught = { words: new Set(), more: false };

const WORD = /<[^<>\s]{1,64}>/g;

/** A text in parts, its learned words apart. */
export function textParts(text: string, taught: Taught): TextPart[] {
  const parts: TextPart[] = [];
  let at = 0;
  for (const found of text.matchAll(WORD)) {
    if (found.index > at) parts.push({ text: text.slice(at, found.index) });
    const word = found[0];
    parts.push({ text: word, word: taught.words.has(word) ? "taught" : taught.more ? "unsure" : "untaught" });
    at = found.index + word.length;
  }
  if (at < text.length) parts.push({ text: text.slice(at) });
  return parts;
}

/** The words of a text that no node upstream teaches. */
export function untaughtWords(text: string, taught: Taught): string[] {
  return [...new Set(textParts(text, taught).filter((part) => part.word === "untaught").map((part) => part.text))];
}

/** The word that a source teaches, as the catalogue's help tells it: `"shapes-dome" (ships with Weft; its word is <dome>)`. */
export function wordOfSource(source: string, help: string): string | null {
  const at = help.indexOf(`"${source}"`);
  if (at < 0) return null;
  const end = help.indexOf(")", at);
  const found = /word is (<[^<>\s]+>)/.exec(help.slice(at, end < 0 ? undefined : end));
  return found?.[1] ?? null;
}
