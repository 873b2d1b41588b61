import type { ReactNode } from "react";

/**
 * Notes: paragraphs, headings, lists, **bold**, *italic*, `code`, <word> and [text](https://...), to React elements.
 * All else stays text; nothing of it reaches the page as HTML.
 */
export function Markdown({ text }: { readonly text: string }): ReactNode {
  return blocks(text).map((block, at) => {
    if (block.kind === "list") return <ul key={at} className="note__list">{block.lines.map((line, row) => <li key={row}>{inline(line)}</li>)}</ul>;
    if (block.kind === "heading") return <p key={at} className="note__heading">{inline(block.lines.join(" "))}</p>;
    return <p key={at}>{block.lines.map((line, row) => <span key={row}>{row > 0 && <br />}{inline(line)}</span>)}</p>;
  });
}

interface Block {
  readonly kind: "text" | "list" | "heading";
  readonly lines: string[];
}

/** Lines of a note as paragraphs, headings and lists. */
export function blocks(text: string): Block[] {
  const found: Block[] = [];
  let open: Block | null = null;
  for (const line of text.split("\n")) {
    const heading = /^#{1,3}\s+(.*)$/.exec(line);
    const item = /^\s*[-*]\s+(.*)$/.exec(line);
    if (line.trim() === "") open = null;
    else if (heading !== null) {
      found.push({ kind: "heading", lines: [heading[1] ?? ""] });
      open = null;
    } else {
      const kind = item === null ? "text" : "list";
      if (open === null || open.kind !== kind) {
        open = { kind, lines: [] };
        found.push(open);
      }
      open.lines.push(item === null ? line : (item[1] ?? ""));
    }
  }
  return found;
}

const PARTS = /(`[^`]+`|\*\*[^*]+\*\*|\*[^*\s][^*]*\*|<[A-Za-z0-9_-]{1,40}>|\[[^\]]+\]\([^)\s]+\))/;

function inline(line: string): ReactNode[] {
  return line.split(PARTS).map((part, at) => {
    if (part.length > 2 && part.startsWith("`") && part.endsWith("`")) return <span key={at} className="code">{part.slice(1, -1)}</span>;
    if (part.length > 4 && part.startsWith("**") && part.endsWith("**")) return <strong key={at} className="medium">{part.slice(2, -2)}</strong>;
    if (part.length > 2 && part.startsWith("*") && part.endsWith("*")) return <em key={at}>{part.slice(1, -1)}</em>;
    if (/^<[A-Za-z0-9_-]+>$/.test(part)) return <span key={at} className="word">{part}</span>;
    const link = /^\[([^\]]+)\]\(([^)\s]+)\)$/.exec(part);
    if (link !== null && isWebAddress(link[2] ?? "")) {
      return <a key={at} className="link" href={link[2]} target="_blank" rel="noopener noreferrer">{link[1]}</a>;
    }
    return part;
  });
}

/** Only these may be followed: no `javascript:`, no `data:`. */
export function isWebAddress(text: string): boolean {
  return /^https?:\/\/[^\s]+$/i.test(text);
}
