/** Random edits for tests: what the numbers of a seed choose. Every state, and the way back, can be looked at. */
import { apply } from "../apply";
import { copyNodes, duplicateNodes, pasteNodes } from "../clipboard";
import {
  duplicateDefinition, exposeInput, exposeOutput, makeDefinition, removeDefinition, removeExposed, renameDefinition,
  renameExposed, unpack, type FirstOutput,
} from "../definitions";
import {
  addGroup, addNode, addNote, addReroute, changeType, collapse, connect, disconnect, editGroup, insertOnWire, move, moveItem,
  moveLink, pin, removeGroup, removeNodes, removeNote, removeParameter, removeReroute, rename, renameParameter, resetInput,
  resizeCard, setInput, setMeta, setMode, setNodeKey, setParameter, tag, takeOut,
} from "../edits";
import { graphOf, groups, inputsOf, links, notes, placesOf, reroutes, targetText } from "../graph";
import { History } from "../history";
import { jsonNumber } from "../numbers";
import { keysOf } from "../objects";
import type { Attempt, Document, Json, Place, Wiring } from "../types";
import { isRefusal } from "../types";

/** Names that are no plain names to careless code. */
const NAMES = ["a", "b2", "__proto__", "constructor", "toString", "hasOwnProperty", "valueOf", "inputs_", "x-y"];
const VALUES: Json[] = [
  1, jsonNumber("1", "float") as Json, jsonNumber("18446744073709551615", "int") as Json, true, null, "text", "__proto__",
  [1, "two"], { a: { b: [1] } }, { value: { link: "a" } }, [{ value: { value: 1 } }, 2], "",
];

/** Choices from a seed, the same ones each time. */
export class Tape {
  private state: number;

  constructor(seed: number) {
    this.state = seed | 0;
  }

  /** A whole number from 0 on (the mulberry32 generator). */
  next(): number {
    this.state = (this.state + 0x6d2b79f5) | 0;
    let value = Math.imul(this.state ^ (this.state >>> 15), 1 | this.state);
    value = (value + Math.imul(value ^ (value >>> 7), 61 | value)) ^ value;
    return (value ^ (value >>> 14)) >>> 0;
  }

  pick<T>(from: readonly T[]): T | undefined {
    return from[this.next() % Math.max(1, from.length)];
  }

  some<T>(from: readonly T[], most = 4): T[] {
    const count = this.next() % (most + 1);
    return Array.from({ length: count }, () => this.pick(from)).filter((item) => item !== undefined);
  }
}

interface Scene {
  readonly document: Document;
  readonly place: Place;
  readonly tape: Tape;
  readonly wiring: Wiring;
  readonly types: readonly string[];
  /** What was copied last. */
  copied: string | null;
}

type Act = (scene: Scene) => Attempt | null;

function idIn({ document, place, tape }: Scene): string {
  return tape.pick(keysOf(graphOf(document, place).nodes)) ?? "";
}

function idsIn({ document, place, tape }: Scene, most = 5): string[] {
  return tape.some(keysOf(graphOf(document, place).nodes), most);
}

function inputNames(scene: Scene, id: string): string[] {
  const spec = graphOf(scene.document, scene.place).nodes[id];
  return [...keysOf(inputsOf(spec)), "model", "scale", "text", "guidance", "steps", "__proto__"];
}

function wireIn({ document, place, tape }: Scene) {
  return tape.pick([...links(graphOf(document, place).nodes)]);
}

/** An edit that the tape makes up; it may be refused. */
const ACTS: { readonly [name: string]: Act } = {
  add: (s) => {
    const id = s.tape.pick([undefined, ...NAMES]);
    const types = [...s.types, ...keysOf(s.document.definitions)];
    return addNode(s.document, s.place, s.tape.pick(types) ?? "cfg", { ...(id === undefined ? {} : { id }), x: s.tape.next() % 900, y: s.tape.next() % 700 });
  },
  connect: (s) => {
    const given = s.place === null ? [] : keysOf(graphOf(s.document, s.place).definition?.inputs);
    const from = given.length > 0 && s.tape.next() % 3 === 0 ? { node: "inputs", output: s.tape.pick(given) ?? "" } : { node: idIn(s) };
    for (let tries = 0; tries < 6; tries += 1) {
      const node = idIn(s);
      const input = s.wiring.bestInput(s.document, s.place, from, node);
      if (input !== null) return connect(s.document, s.place, from, { node, input, index: s.tape.next() % 3 === 0 ? 0 : null }, s.wiring);
    }
    return null;
  },
  connectAnywhere: (s) => {
    const node = idIn(s);
    return connect(s.document, s.place, { node: idIn(s) }, { node, input: s.tape.pick(inputNames(s, node)) ?? "model" }, s.wiring);
  },
  disconnect: (s) => {
    const wire = wireIn(s);
    return wire ? disconnect(s.document, s.place, { node: wire.target, input: wire.input, index: wire.index }) : null;
  },
  moveLink: (s) => {
    const wire = wireIn(s);
    const node = idIn(s);
    const input = s.tape.pick(inputNames(s, node)) ?? "model";
    return wire ? moveLink(s.document, s.place, { node: wire.target, input: wire.input, index: wire.index }, { node, input }, s.wiring) : null;
  },
  moveItem: (s) => {
    const wire = wireIn(s);
    return wire ? moveItem(s.document, s.place, { node: wire.target, input: wire.input, index: wire.index }, s.tape.next() % 3) : null;
  },
  insert: (s) => {
    const wire = wireIn(s);
    return wire ? insertOnWire(s.document, s.place, { node: wire.target, input: wire.input, index: wire.index }, idIn(s), s.wiring) : null;
  },
  takeOut: (s) => takeOut(s.document, s.place, idIn(s), s.wiring),
  remove: (s) => removeNodes(s.document, s.place, idsIn(s, 3)),
  removeKeeping: (s) => removeNodes(s.document, s.place, idsIn(s, 3), { keepWires: s.wiring }),
  set: (s) => {
    const id = idIn(s);
    return setInput(s.document, s.place, id, s.tape.pick(inputNames(s, id)) ?? "x", s.tape.pick(VALUES) ?? null);
  },
  reset: (s) => {
    const id = idIn(s);
    return resetInput(s.document, s.place, id, s.tape.pick(inputNames(s, id)) ?? "x");
  },
  rename: (s) => rename(s.document, s.place, idIn(s), s.tape.pick([...NAMES, "inputs", "9", "n"]) ?? "n"),
  mode: (s) => setMode(s.document, s.place, idsIn(s), s.tape.pick(["mute", "bypass", null] as const) ?? null),
  key: (s) => setNodeKey(s.document, s.place, idIn(s), s.tape.pick(["version", "retry", "timeout"] as const) ?? "retry", s.tape.pick([1, 2, undefined])),
  type: (s) => changeType(s.document, s.place, idIn(s), s.tape.pick([...s.types, ...keysOf(s.document.definitions)]) ?? "cfg"),
  move: (s) => move(s.document, s.place, new Map(idsIn(s).map((id) => [id, { x: s.tape.next() % 999, y: s.tape.next() % 777 }]))),
  resize: (s) => resizeCard(s.document, s.place, idIn(s), s.tape.pick([null, 160, 207]) ?? null),
  collapse: (s) => collapse(s.document, s.place, idsIn(s), s.tape.next() % 2 === 0),
  pin: (s) => pin(s.document, s.place, idIn(s), s.tape.pick(NAMES) ?? "a", s.tape.next() % 2 === 0),
  tag: (s) => {
    const wire = wireIn(s);
    return wire ? tag(s.document, s.place, wire.target, wire.index === null ? wire.input : `${wire.input}.${wire.index}`, s.tape.next() % 3 > 0) : null;
  },
  group: (s) => addGroup(s.document, s.place, { name: s.tape.pick(NAMES) ?? "g", x: 0, y: 0, width: 300, height: 200, nodes: [...new Set(idsIn(s))] }),
  editGroup: (s) => editGroup(s.document, s.place, s.tape.pick([...groups(s.document, s.place).keys()]) ?? "", { name: "other", width: s.tape.next() % 500 }),
  ungroup: (s) => removeGroup(s.document, s.place, s.tape.pick([...groups(s.document, s.place).keys()]) ?? ""),
  note: (s) => addNote(s.document, s.place, { text: "note", x: s.tape.next() % 300, y: 4, width: 140 }),
  unnote: (s) => removeNote(s.document, s.place, s.tape.pick([...notes(s.document, s.place).keys()]) ?? ""),
  bend: (s) => {
    const wire = wireIn(s);
    return wire ? addReroute(s.document, s.place, { target: targetText({ node: wire.target, input: wire.input, index: wire.index }), x: 5, y: 6 }) : null;
  },
  unbend: (s) => removeReroute(s.document, s.place, s.tape.pick([...reroutes(s.document, s.place).keys()]) ?? ""),
  parameter: (s) => {
    const id = s.tape.pick(keysOf(s.document.nodes)) ?? "";
    const spec = s.document.nodes[id];
    return setParameter(s.document, s.tape.pick(NAMES) ?? "p", `${id}.${s.tape.pick([...keysOf(inputsOf(spec)), "scale"]) ?? "scale"}`);
  },
  unparameter: (s) => removeParameter(s.document, s.tape.pick(keysOf(s.document.parameters)) ?? ""),
  renameParameter: (s) => renameParameter(s.document, s.tape.pick(keysOf(s.document.parameters)) ?? "", s.tape.pick(NAMES) ?? "p"),
  meta: (s) => setMeta(s.document, s.tape.pick(["", "Title", "__proto__"]) ?? "", s.tape.pick([undefined, "", "Words"])),
  define: (s) => makeDefinition(s.document, s.place, idsIn(s), s.tape.pick([...NAMES, "part", "whole"]) ?? "part", "output" in s.wiring ? (s.wiring as unknown as FirstOutput) : undefined),
  unpack: (s) => {
    const uses = keysOf(graphOf(s.document, s.place).nodes).filter((id) => Object.hasOwn(s.document.definitions ?? {}, graphOf(s.document, s.place).nodes[id]?.type ?? ""));
    return uses.length > 0 ? unpack(s.document, s.place, s.tape.pick(uses) ?? "") : null;
  },
  expose: (s) => {
    const id = idIn(s);
    return s.place === null ? null : exposeInput(s.document, s.place, id, s.tape.pick(inputNames(s, id)) ?? "scale", s.tape.pick(NAMES) ?? "scale");
  },
  exposeOutput: (s) => (s.place === null ? null : exposeOutput(s.document, s.place, { node: idIn(s) }, s.tape.pick(NAMES) ?? "out")),
  hide: (s) => {
    const definition = graphOf(s.document, s.place).definition;
    const kind = s.tape.pick(["input", "output"] as const) ?? "input";
    const names = keysOf(kind === "input" ? definition?.inputs : definition?.outputs);
    return s.place === null || names.length === 0 ? null : removeExposed(s.document, s.place, kind, s.tape.pick(names) ?? "");
  },
  renameExposed: (s) => {
    const definition = graphOf(s.document, s.place).definition;
    const kind = s.tape.pick(["input", "output"] as const) ?? "input";
    const names = keysOf(kind === "input" ? definition?.inputs : definition?.outputs);
    return s.place === null || names.length === 0 ? null : renameExposed(s.document, s.place, kind, s.tape.pick(names) ?? "", s.tape.pick(NAMES) ?? "n");
  },
  renameDefinition: (s) => renameDefinition(s.document, s.tape.pick(keysOf(s.document.definitions)) ?? "", s.tape.pick(NAMES) ?? "n"),
  duplicateDefinition: (s) => duplicateDefinition(s.document, s.tape.pick(keysOf(s.document.definitions)) ?? ""),
  removeDefinition: (s) => removeDefinition(s.document, s.tape.pick(keysOf(s.document.definitions)) ?? ""),
  copy: (s) => {
    s.copied = copyNodes(s.document, s.place, idsIn(s));
    return null;
  },
  paste: (s) => {
    if (s.copied === null) return null;
    return pasteNodes(s.document, s.place, s.copied, s.tape.next() % 2 === 0 ? { x: 10, y: 20, withLinks: true } : {});
  },
  duplicate: (s) => duplicateNodes(s.document, s.place, idsIn(s), { withLinks: s.tape.next() % 2 === 0 }),
};

/** What is done more often than once in a round, so that graphs grow. */
const OFTEN = ["add", "add", "add", "connect", "connect", "connect", "connect", "set", "define", "unpack", "paste", "expose", "undo", "redo", "merge"];

/** Does so many random edits of a seed to a document; `look` sees every state with the act that led to it. */
export function runSequence(
  start: Document,
  seed: number,
  count: number,
  wiring: Wiring,
  types: readonly string[],
  look: (history: History, act: string) => void,
  acts: readonly string[] = [...Object.keys(ACTS), ...OFTEN],
): History {
  const tape = new Tape(seed);
  let history = History.of(start);
  let copied: string | null = null;
  for (let done = 0; done < count; done += 1) {
    const name = acts[tape.next() % acts.length] ?? "add";
    if (name === "undo") history = history.undo();
    else if (name === "redo") history = history.redo();
    else {
      const { document } = history;
      const scene: Scene = { document, place: tape.pick([null, null, ...placesOf(document)]) ?? null, tape, wiring, types, copied };
      const attempt = (ACTS[name === "merge" ? "move" : name] as Act)(scene);
      copied = scene.copied;
      if (attempt === null || isRefusal(attempt)) continue;
      history = history.do(attempt, name === "merge" ? { merge: "drag" } : {});
    }
    look(history, name);
  }
  return history;
}

/** A document after one edit, for tests that need no history. */
export function edited(document: Document, attempt: Attempt): Document {
  if (isRefusal(attempt)) throw new Error(attempt.refused);
  return apply(document, attempt).document;
}

