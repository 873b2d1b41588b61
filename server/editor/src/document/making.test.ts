import { readFileSync, writeFileSync } from "node:fs";
import { expect, test } from "vitest";
import { formProblems } from "./check";
import { setMode } from "./edits";
import { keysOf } from "./objects";
import { Tape, edited, runSequence } from "./testing/sequences";
import { testCatalogue } from "./testing/fixture";
import { documentText, parseDocument } from "./text";
import type { Document } from "./types";

/** Workflows whose nodes do not unfold while they run: their keys can be compared before a run. */
const EXAMPLES = ["text_to_image", "sega", "controlnet", "two_controlnets", "sega_textual_inversion_controlnet", "image_to_image", "regions", "pag", "during", "sag_sega_pag"];
const SEQUENCES = 200;
const DUMP = process.env.WEFT_MADE;

function example(name: string): Document {
  const read = parseDocument(readFileSync(new URL(`../../../../graphs/examples/${name}.json`, import.meta.url), "utf8"));
  if ("problem" in read) throw new Error(read.problem);
  return read.document;
}

test(`${SEQUENCES} sequences of make and unpack keep the form and, by the test in Python, every key`, { timeout: 120_000 }, () => {
  const wiring = testCatalogue();
  const lines: string[] = [];
  let changed = 0;
  for (let seed = 1; seed <= SEQUENCES; seed += 1) {
    const tape = new Tape(seed * 7919);
    let start = example(EXAMPLES[seed % EXAMPLES.length] as string);
    const ids = keysOf(start.nodes);
    if (seed % 3 === 0) start = edited(start, setMode(start, null, tape.some(ids, 2), seed % 2 === 0 ? "mute" : "bypass"));
    const acts: string[] = [];
    const history = runSequence(start, seed, 12, wiring, [], (state, act) => {
      acts.push(act);
      expect(formProblems(state.document).filter((one) => one.severity === "error")).toEqual([]);
    }, ["define", "define", "unpack"]);
    changed += acts.length;
    lines.push(JSON.stringify({ seed, acts, before: documentText(start), after: documentText(history.document) }));
  }
  expect(changed).toBeGreaterThan(SEQUENCES);
  if (DUMP) writeFileSync(DUMP, lines.join("\n"));
});
