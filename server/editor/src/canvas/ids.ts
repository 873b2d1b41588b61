/** Ids of what stands on the canvas. A node's id cannot begin with #, so what is no node does. */

export type Kind = "node" | "group" | "note" | "reroute" | "inputs" | "outputs";

export const INPUTS_CARD = "#inputs";
export const OUTPUTS_CARD = "#outputs";

const SECTIONS = { group: "#groups/", note: "#notes/", reroute: "#reroutes/" } as const;

/** The id on the canvas of what is no node: where `ui` has it. */
export function canvasId(kind: "group" | "note" | "reroute", id: string): string {
  return SECTIONS[kind] + id;
}

/** What an id on the canvas names. */
export function parted(canvas: string): { kind: Kind; id: string } {
  if (canvas === INPUTS_CARD) return { kind: "inputs", id: "inputs" };
  if (canvas === OUTPUTS_CARD) return { kind: "outputs", id: "outputs" };
  for (const kind of ["group", "note", "reroute"] as const) {
    if (canvas.startsWith(SECTIONS[kind])) return { kind, id: canvas.slice(SECTIONS[kind].length) };
  }
  return { kind: "node", id: canvas };
}

/** The chosen things of one kind. */
export function ofKind(ids: Iterable<string>, kind: Kind): string[] {
  return [...ids].map(parted).filter((item) => item.kind === kind).map((item) => item.id);
}

/** A port's handle: `input`, or `input.0` for one link of a list. */
export function handleOf(input: string, index: number | null): string {
  return index === null ? input : `${input}.${index}`;
}

/** The input and place of a handle; names of inputs have no dot. */
export function inputOfHandle(handle: string): { input: string; index: number | null } {
  const item = /^([^.]+)\.(\d{1,5})$/.exec(handle);
  return item === null ? { input: handle, index: null } : { input: item[1] ?? handle, index: Number(item[2]) };
}

/** A thread's id: where it ends. */
export function threadId(node: string, handle: string): string {
  return `${node}.${handle}`;
}
