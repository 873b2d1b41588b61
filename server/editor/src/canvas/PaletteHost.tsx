import { useCallback, useMemo } from "react";
import { search } from "../catalogue/search";
import { accepts, isListType, itemOf, parseType } from "../catalogue/typeexpr";
import type { NodeType } from "../catalogue/types";
import { here } from "./acts";
import { useCanvas, type End } from "./canvasStore";
import { addAt } from "./nodeActs";
import { Palette, type PaletteHit } from "./Palette";
import { markUsed, usedLately } from "./used";

/** Ports of a type that a wire from `from` may go to, the best first: needed ones before others, exact before wide. */
export function portsFor(type: NodeType, from: End): string[] {
  if (from.side === "in") {
    const wanted = parseType(from.type);
    const item = isListType(wanted) ? itemOf(wanted) : wanted;
    return type.outputs.filter((output) => accepts(wanted, parseType(output.type)) || accepts(item, parseType(output.type))).map((output) => output.name);
  }
  const given = parseType(from.type);
  const rank = (input: NodeType["inputs"][number]): number => (input.type.includes("any") || /\bT\b/.test(input.type) ? 4 : 0) + (input.required ? 0 : 1);
  return type.inputs
    .filter((input) => {
      const wanted = parseType(input.type);
      return accepts(wanted, given) || (isListType(wanted) && accepts(itemOf(wanted), given));
    })
    .toSorted((a, b) => rank(a) - rank(b))
    .map((input) => input.name);
}

function isWide(type: NodeType, from: End): boolean {
  const [port] = portsFor(type, from);
  const text = from.side === "out" ? type.inputs.find((input) => input.name === port)?.type : type.outputs.find((output) => output.name === port)?.type;
  return text === undefined || /\b(?:any|T)\b/.test(text);
}

/** First sentence of a summary, short. */
function short(summary: string): string {
  return summary.replace(/\s*\(.*$/s, "").replace(/\.$/, "").replace(/^./, (letter) => letter.toLowerCase());
}

/** The palette where it was called up: what is there, what fits, and what adding does. */
export function PaletteHost() {
  const state = useCanvas((all) => all.palette);
  const set = useCanvas((all) => all.set);
  const now = state === null ? null : here();
  const types = useMemo(() => (now === null ? [] : now.catalogue.typesFor(now.document, now.place)), [now?.catalogue, now?.document, now?.place]);
  const from = state?.from ?? null;
  const find = useCallback((query: string): PaletteHit[] => {
    const hits = search(query, types, { used: usedLately(), ...(from === null ? {} : { fits: (type: NodeType) => portsFor(type, from).length > 0 }) });
    const found = hits.map(({ type, matched }) => ({
      name: type.name, summary: short(type.summary), mark: type.outputs[0]?.type ?? type.inputs[0]?.type ?? "any", letters: matched,
      ports: from === null ? [] : portsFor(type, from),
      group: from === null ? (query === "" ? type.category : "Best matches") : from.side === "out" ? (isWide(type, from) ? "Takes anything" : `Takes ${from.type}`) : isWide(type, from) ? "Makes anything" : `Makes ${from.type}`,
    }));
    return from === null ? found : found.toSorted((a, b) => Number(a.group.endsWith("anything")) - Number(b.group.endsWith("anything")));
  }, [types, from]);
  if (state === null || now === null) return null;
  const close = (): void => {
    set({ palette: null });
    const { focus } = now.tab;
    const card = focus === null ? null : document.querySelector<HTMLElement>(`[data-card="${CSS.escape(focus)}"]`);
    (card ?? document.querySelector<HTMLElement>(".canvas--flow"))?.focus({ preventScroll: true });
  };
  const placeholder = from === null ? "Add a node" : from.side === "out" ? `Add a node that takes ${from.type}` : `Add a node that makes ${from.type}`;
  return (
    <Palette
      screen={state.screen}
      placeholder={placeholder}
      total={types.length}
      find={find}
      onAdd={(hit, port, stay) => {
        markUsed(hit.name);
        addAt(hit.name, state.graph, from === null ? null : { from, port }, state.wire, stay);
        if (stay) set({ palette: { ...state, from: null, wire: null, graph: { x: state.graph.x + 24, y: state.graph.y + 24 } } });
        else set({ palette: null });
      }}
      onHelp={(hit) => window.dispatchEvent(new CustomEvent("weft:help", { detail: { type: hit.name } }))}
      onClose={close}
    />
  );
}
