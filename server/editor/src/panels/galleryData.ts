/** Pictures of all runs, as the gallery lists and finds them. */
import { create } from "zustand";
import { inputsOf } from "../document/graph";
import { entriesOf } from "../document/objects";
import type { Document } from "../document/types";
import { valueWords } from "../document/difference";
import { api } from "../service/api";
import { words } from "../service/refused";
import type { ListedOutput } from "../service/types";

export interface Shown {
  readonly output: ListedOutput;
  /** The same in every list: job, node and file. */
  readonly id: string;
  readonly source: string;
  readonly thumb: string;
}

interface Gallery {
  readonly list: readonly Shown[];
  readonly next: string | null;
  readonly state: "never" | "asking" | "known" | "failed";
  readonly fault: string;
  /** The pictures that are compared, by id. */
  readonly a: string | null;
  readonly b: string | null;
}

export const useGallery = create<Gallery>(() => ({ list: [], next: null, state: "never", fault: "", a: null, b: null }));

const PAGE = 60;

function shown(output: ListedOutput): Shown | null {
  if (output.kind !== "image" || output.file === undefined) return null;
  return { output, id: `${output.job} ${output.node} ${output.file}`, source: api.fileUrl(output.file), thumb: api.fileUrl(output.file, 256) };
}

/** Two lists as one, the newest first, each picture once. */
export function joined(first: readonly Shown[], second: readonly Shown[]): Shown[] {
  const seen = new Set<string>();
  return [...first, ...second].filter(({ id }) => !seen.has(id) && seen.add(id)).toSorted((a, b) => b.output.finished - a.output.finished);
}

/** Asks for the newest pictures, or for earlier ones. */
export async function readGallery(earlier = false): Promise<void> {
  const { state, next, list } = useGallery.getState();
  if (state === "asking" || (earlier && next === null)) return;
  useGallery.setState({ state: "asking" });
  try {
    const page = await api.outputs({ limit: PAGE, ...(earlier && { cursor: next }) });
    const all = joined(list, page.outputs.flatMap((output) => shown(output) ?? []));
    const newest = list.length === 0 || earlier;
    useGallery.setState({ list: all, state: "known", fault: "", ...(newest && { next: page.next }) });
  } catch (error) {
    useGallery.setState({ state: "failed", fault: words(error) });
  }
}

/** Puts a picture on a side; the other side is never the same one. */
export function putOn(side: "a" | "b", id: string | null): void {
  const other = side === "a" ? "b" : "a";
  const now = useGallery.getState();
  useGallery.setState({ [side]: id, ...(now[other] === id && { [other]: now[side] }) });
}

export function swapSides(): void {
  useGallery.setState(({ a, b }) => ({ a: b, b: a }));
}

/** Whether a picture has every word of a search: in its name, its node, or the workflow that it comes from. */
export function matches(query: string, output: ListedOutput, document: Document | null | undefined): boolean {
  const wanted = query.toLowerCase().split(/\s+/).filter((word) => word !== "");
  if (wanted.length === 0) return true;
  const text = `${output.name ?? ""} ${output.node} ${document ? textOf(document) : ""}`.toLowerCase();
  return wanted.every((word) => text.includes(word));
}

const texts = new WeakMap<Document, string>();

/** Title, nodes, types and values: "sega.scale=2.0". */
function textOf(document: Document): string {
  const known = texts.get(document);
  if (known !== undefined) return known;
  const parts = [String(document.meta?.title ?? "")];
  for (const nodes of [document.nodes, ...entriesOf(document.definitions).map(([, definition]) => definition.nodes)]) {
    for (const [id, spec] of entriesOf(nodes)) {
      parts.push(id, spec.type);
      for (const [input, value] of entriesOf(inputsOf(spec))) parts.push(`${id}.${input}=${valueWords(value)}`);
    }
  }
  const text = parts.join(" ");
  texts.set(document, text);
  return text;
}
