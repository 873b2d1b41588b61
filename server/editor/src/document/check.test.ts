import { readFileSync, writeFileSync } from "node:fs";
import { expect, test } from "vitest";
import { formProblems } from "./check";
import { jsonText } from "./json";
import { near } from "./near";
import { entriesOf, isList, isObject, objectOf } from "./objects";
import { Tape } from "./testing/sequences";
import { documentText, parseDocument } from "./text";
import type { Json } from "./types";

const BASE = JSON.stringify({
  weft: 1,
  meta: { title: "t" },
  nodes: {
    model: { type: "load_model", inputs: { source: "shapes" } },
    prompt: { type: "encode_prompt", version: 1, mode: "mute", retry: 2, timeout: 3, inputs: { model: { link: "model" }, text: "x" } },
    cfg: { type: "cfg", inputs: { prompt: { link: "prompt" } } },
    draw: { type: "denoise", inputs: { model: { link: "model" }, guidance: [{ link: "cfg" }, { link: "part.out" }], seed: { value: { link: "y" } } } },
    part: { type: "guided", inputs: { model: { link: "model" } } },
  },
  definitions: {
    guided: {
      description: "d",
      inputs: { model: { type: "Model", description: "m" }, scale: { default: 2 } },
      nodes: { p: { type: "encode_prompt", inputs: { model: { link: "inputs.model" } } }, c: { type: "cfg", inputs: { prompt: { link: "p" }, scale: { link: "inputs.scale" } } } },
      outputs: { out: { link: "c", type: "Guidance" } },
    },
    outer: { nodes: { g: { type: "guided" } }, outputs: { out: { link: "g.out" } } },
  },
  parameters: { seed: { input: "draw.seed" } },
  ui: { model: { x: 1 } },
});
const WORDS = ["model", "modle", "cfg", "inputs", "inputs.scale", "inputs.scal", "draw.seed", "drow.seed", "draw", "guided", "outer", "bypas", "", "9x", "a.", ".b", "x".repeat(70), "ü ß", "__proto__", "c", "p"];
const KEYS = ["link", "type", "typ", "nodes", "inputs", "value", "default", "mode", "description", "extra", "model", "9", "constructor", "outputs"];

/** The value with one thing in it changed. */
function mutated(value: Json, tape: Tape): Json {
  const inside = isObject(value) ? entriesOf(value) : isList(value) ? [...value.entries()].map(([index, item]) => [String(index), item] as [string, Json]) : [];
  if (inside.length > 0 && tape.next() % 5 > 0) {
    const at = tape.next() % inside.length;
    const changed = inside.map(([key, item], index): [string, Json] => (index === at ? [key, mutated(item, tape)] : [key, item]));
    return isList(value) ? changed.map(([, item]) => item) : objectOf(changed);
  }
  const entries = [...inside];
  switch (tape.next() % 6) {
    case 0:
      return tape.pick<Json>([null, true, 7, -1, 0, 2.5, [], {}, [1], { link: "model" }, { link: "nobody" }, { link: 3 }, { value: 1 }]) ?? null;
    case 1:
      return tape.pick(WORDS) ?? "";
    case 2:
      if (entries.length > 0) entries.splice(tape.next() % entries.length, 1);
      break;
    case 3:
      entries.push([tape.pick(KEYS) ?? "extra", tape.pick<Json>([1, "x", {}, { link: "cfg" }, { link: "draw" }, [{ link: "cgf.x" }]]) ?? 1]);
      break;
    default:
      if (typeof value === "string") return tape.pick(WORDS) ?? "";
  }
  return isList(value) ? entries.map(([, item]) => item) : isObject(value) ? objectOf(entries) : value;
}

function problemsOf(text: string): unknown {
  const read = parseDocument(text);
  if ("problem" in read) return read.problems ?? [{ message: read.problem }];
  return formProblems(read.document);
}

test("broken documents are told without an error of our own; the test in Python holds the sentences against the server's", () => {
  const read = parseDocument(BASE);
  if ("problem" in read) throw new Error(read.problem);
  expect(formProblems(read.document)).toEqual([]);
  const lines: string[] = [];
  for (let seed = 1; seed <= 2000; seed += 1) {
    const tape = new Tape(seed * 104_729);
    let data = read.document as unknown as Json;
    for (let count = 1 + (tape.next() % 3); count > 0; count -= 1) data = mutated(data, tape);
    const text = isObject(data) ? documentText(data as never) : jsonText(data);
    lines.push(jsonText({ text, problems: problemsOf(text) }));
  }
  if (process.env.WEFT_BROKEN) writeFileSync(process.env.WEFT_BROKEN, lines.join("\n"));
});

test("a circle is named from its first node on", () => {
  const text = readFileSync(new URL("../../../../graphs/examples/text_to_image.json", import.meta.url), "utf8").replace('"source": "shapes"', '"source": {"link": "save"}');
  const read = parseDocument(text);
  const found = "document" in read ? formProblems(read.document) : [];
  expect(found.map((one) => one.code)).toEqual(["cycle"]);
  expect(found[0]?.node).toBe("model");
});

test("near names are those of difflib", () => {
  expect(near("denois", ["denoise", "decode"])).toBe("denoise");
  expect(near("Modle", ["model", "mode"])).toBe("mode");
  expect(near("zzz", ["model"])).toBeNull();
});
