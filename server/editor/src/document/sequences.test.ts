import { writeFileSync } from "node:fs";
import fc from "fast-check";
import { expect, test } from "vitest";
import { formProblems } from "./check";
import { keysOf } from "./objects";
import { SOME_TYPES, testCatalogue } from "./testing/fixture";
import { runSequence } from "./testing/sequences";
import { documentText, emptyDocument, parseDocument } from "./text";
import type { Document } from "./types";

const RUNS = Number(process.env.WEFT_SEQUENCES ?? 300);
const DUMP = process.env.WEFT_STATES;
const wiring = testCatalogue();
const START = `{"weft": 1, "meta": {"title": "t"}, "nodes": {
  "m": {"type": "load_model", "inputs": {"source": "shapes"}}, "__proto__": {"type": "encode_prompt", "inputs": {"model": {"link": "m"}, "text": "x"}},
  "cfg": {"type": "cfg", "inputs": {"prompt": {"link": "__proto__"}, "scale": 3.0}},
  "d": {"type": "denoise", "inputs": {"model": {"link": "m"}, "guidance": [{"link": "cfg"}], "seed": 9223372036854775807}, "odd": {"9": 1, "1": 2}},
  "i": {"type": "decode", "inputs": {"model": {"link": "m"}, "latents": {"link": "d.latents"}}}, "s": {"type": "save_image", "inputs": {"image": {"link": "i"}, "name": "x"}}},
  "parameters": {"seed": {"input": "d.seed"}}, "extra": [1.50, {"10": 1, "2": 2.0}]}`;

function parsed(text: string): Document {
  const read = parseDocument(text);
  if ("problem" in read) throw new Error(read.problem);
  return read.document;
}

function errors(document: Document): string[] {
  return formProblems(document).filter((one) => one.severity === "error").map((one) => one.message);
}

test(`${RUNS} random sequences of edits: every state has a good form, undo of all gives the same bytes`, { timeout: 3_600_000 }, () => {
  const starts = [emptyDocument(), parsed(START)];
  const bytes = starts.map(documentText);
  const states: string[] = [];
  const acts = new Map<string, number>();
  fc.assert(
    fc.property(fc.nat(1), fc.integer(), fc.integer({ min: 10, max: 120 }), (which, seed, length) => {
      const start = starts[which] as Document;
      let count = 0;
      let history = runSequence(start, seed, length, wiring, SOME_TYPES, (state, act) => {
        count += 1;
        acts.set(act, (acts.get(act) ?? 0) + 1);
        const found = errors(state.document);
        if (found.length > 0) throw new Error(`after ${act}: ${found.join(" ")}`);
        if (DUMP && states.length < 1500 && count % 7 === 0) states.push(documentText(state.document));
      });
      const last = documentText(history.document);
      // What was written is read again as it was.
      expect(documentText(parsed(last))).toBe(last);
      const past = history.length;
      while (history.canUndo) history = history.undo();
      expect(documentText(history.document)).toBe(bytes[which]);
      for (let index = 0; index < past; index += 1) history = history.redo();
      expect(documentText(history.document)).toBe(last);
      expect(documentText(start)).toBe(bytes[which]);
    }),
    { numRuns: RUNS, seed: 20_261_122, endOnFailure: RUNS > 1000 },
  );
  if (DUMP) writeFileSync(DUMP, states.map((text) => JSON.stringify(text)).join("\n"));
  if (process.env.WEFT_ACTS) console.log(Object.fromEntries(acts));
  // The sequences reach every kind of edit, or the test says nothing of it.
  if (RUNS >= 300) expect(keysOf(Object.fromEntries(acts)).length).toBeGreaterThan(40);
});
