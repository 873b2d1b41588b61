import { describe, expect, test } from "vitest";
import { copyNodes, pasteNodes } from "./clipboard";
import { exposeInput, makeDefinition, unpack } from "./definitions";
import { differences, valueWords } from "./difference";
import { addReroute, addNode, disconnect, move, removeNodes, rename, setInput, setMeta, setParameter, tag } from "./edits";
import { cardUi, inputOf, order, reroutes } from "./graph";
import { History } from "./history";
import { jsonText } from "./json";
import { edited } from "./testing/sequences";
import { documentText, emptyDocument, parseDocument } from "./text";
import type { Document } from "./types";

function parsed(text: string): Document {
  const read = parseDocument(text);
  if ("problem" in read) throw new Error(read.problem);
  return read.document;
}

const DOCUMENT = `{"weft": 1, "nodes": {
  "model": {"type": "load_model", "inputs": {"source": "shapes"}},
  "prompt": {"type": "encode_prompt", "inputs": {"model": {"link": "model"}, "text": "a circle"}},
  "cfg": {"type": "cfg", "inputs": {"prompt": {"link": "prompt"}, "scale": 1.0}},
  "draw": {"type": "denoise", "inputs": {"model": {"link": "model"}, "guidance": [{"link": "cfg"}, {"link": "cfg"}], "seed": 9223372036854775807}}},
  "parameters": {"text": {"input": "prompt.text"}}, "more": 1.0}`;

describe("edits", () => {
  const document = parsed(DOCUMENT);

  test("an edit leaves every other number as it is written, and puts new keys where Weft writes them", () => {
    const text = documentText(edited(edited(document, setMeta(document, "Title")), move(document, null, { draw: { x: 1.4, y: 2 } })));
    expect(text).toContain('"scale": 1.0');
    expect(text).toContain("9223372036854775807");
    expect(text.indexOf('"meta"')).toBeLessThan(text.indexOf('"nodes"'));
    expect(text.indexOf('"ui"')).toBeLessThan(text.indexOf('"more"'));
    expect(text).toContain('"draw": {"x": 1, "y": 2}');
  });

  test("edits of one act are one step, and take one operation", () => {
    let history = History.of(document);
    for (let x = 0; x < 50; x += 1) history = history.do(edit(history.document, x), { merge: "drag" });
    expect([history.length, history.undoLabel]).toEqual([1, "move draw"]);
    expect(cardUi(history.document, null, "draw").x).toBe(49);
    expect(documentText(history.undo().document)).toBe(documentText(document));
    expect(documentText(history.undo().redo().document)).toBe(documentText(history.document));
  });

  test("what did not change is shared", () => {
    const after = edited(document, setInput(document, null, "cfg", "scale", 2));
    expect(after.nodes.draw).toBe(document.nodes.draw);
    expect(document.nodes.cfg?.inputs?.scale).not.toBe(2);
  });

  test("a renamed node is renamed everywhere", () => {
    const bent = edited(document, addReroute(document, null, { target: "prompt.model", x: 1, y: 2 }));
    const after = edited(bent, rename(bent, null, "prompt", "__proto__"));
    expect(jsonText(inputOf(after, null, "cfg", "prompt"))).toBe('{"link": "__proto__"}');
    expect(after.parameters?.text?.input).toBe("__proto__.text");
    expect([...reroutes(after, null).values()][0]?.target).toBe("__proto__.model");
    expect(rename(document, null, "cfg", "9")).toEqual({ refused: "A name is a letter or _ followed by letters, digits, _ or -." });
  });

  test("an item that is unlinked takes its tag along, the next one moves up", () => {
    const tagged = edited(document, tag(document, null, "draw", "guidance.1", true));
    const after = edited(tagged, disconnect(tagged, null, { node: "draw", input: "guidance", index: 0 }));
    expect(cardUi(after, null, "draw").tags).toEqual(["guidance.0"]);
  });

  test("deleting takes links, parameters and empty lists with it", () => {
    const after = edited(document, removeNodes(document, null, ["prompt", "cfg"]));
    expect(documentText(after)).not.toContain("guidance");
    expect(after.parameters).toBeUndefined();
  });

  test("order is that of a run; a type that is no plain name is added under a plain id", () => {
    expect(order(document.nodes)).toEqual(["model", "prompt", "cfg", "draw"]);
    const made = addNode(emptyDocument(), null, "my.pack/9", { x: 1, y: 2 });
    expect("id" in made && made.id).toBe("my_pack_9");
    expect(setParameter(document, "p", "nobody.x")).toEqual({ refused: "There is no input nobody.x in this workflow." });
  });
});

describe("definitions", () => {
  const document = parsed(DOCUMENT);

  test("make and unpack: links, the parameter and values are as before", () => {
    const made = edited(document, makeDefinition(document, null, ["prompt", "cfg"], "guided"));
    expect(jsonText(made.nodes.guided)).toBe('{"type": "guided", "inputs": {"text": "a circle", "model": {"link": "model"}}}');
    expect(jsonText(inputOf(made, null, "draw", "guidance"))).toBe('[{"link": "guided.cfg"}, {"link": "guided.cfg"}]');
    expect(made.parameters?.text?.input).toBe("guided.text");
    const back = edited(made, unpack(made, null, "guided"));
    expect(back.definitions).toBeUndefined();
    expect(back.parameters?.text?.input).toBe("prompt.text");
    expect(differences(document, back)).toEqual([]);
  });

  test("nodes with a way around them are refused, with the node that is missing", () => {
    expect(makeDefinition(document, null, ["model", "cfg"], "x")).toEqual({ refused: "prompt takes from one of these and gives to another: choose it as well." });
  });

  test("an exposed input keeps its value as the default", () => {
    const made = edited(document, makeDefinition(document, null, ["cfg"], "guided"));
    const after = edited(made, exposeInput(made, "guided", "cfg", "scale"));
    expect(jsonText(after.definitions?.guided?.inputs?.scale)).toBe('{"default": 1.0}');
  });

  test("pasted into another document a definition comes along; one of another form gets a name of its own", () => {
    const made = edited(document, makeDefinition(document, null, ["cfg"], "guided"));
    const text = copyNodes(made, null, ["guided"]);
    expect(jsonText(edited(emptyDocument(), pasteNodes(emptyDocument(), null, text)).nodes)).toBe('{"guided": {"type": "guided"}}');
    const other = edited(made, exposeInput(made, "guided", "cfg", "scale"));
    expect(Object.keys(edited(other, pasteNodes(other, null, text, { withLinks: true })).definitions ?? {})).toEqual(["guided", "guided_2"]);
    expect(pasteNodes(document, null, "no JSON")).toEqual({ refused: "Line 1, column 1: not JSON: expecting value." });
  });
});

test("what differs, in the words of a reader", () => {
  const a = parsed(DOCUMENT);
  const b = edited(a, setInput(a, null, "cfg", "scale", 3.5));
  const [only, ...none] = differences(a, b);
  expect([only?.node, only?.input, valueWords(only?.was), valueWords(only?.now), none.length]).toEqual(["cfg", "scale", "1.0", "3.5", 0]);
  expect(differences(a, edited(a, setInput(a, null, "cfg", "scale", 1)))).toEqual([]);
});

function edit(document: Document, x: number) {
  const attempt = move(document, null, new Map([["draw", { x, y: 0 }]]));
  if ("refused" in attempt) throw new Error(attempt.refused);
  return attempt;
}
