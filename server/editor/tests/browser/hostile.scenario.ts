/** Workflows and pictures that somebody made to do harm: nothing of them runs, and the reader gets a sentence. */
import { deflateSync } from "node:zlib";
import { type Editor, expect, scenario } from "./harness";

/** What each must leave as it was. */
async function unharmed(editor: Editor): Promise<void> {
  const found = await editor.page.evaluate(() => ({
    ran: (window as unknown as { __xss?: unknown }).__xss,
    polluted: [({} as Record<string, unknown>)["polluted"], ([] as unknown as Record<string, unknown>)["polluted"]],
    keys: Object.keys(Object.prototype).length,
    scripts: document.querySelectorAll("script:not([src]), img[onerror], iframe, a[href^='javascript' i]").length,
  }));
  expect(found).toEqual({ ran: undefined, polluted: [undefined, undefined], keys: 0, scripts: 0 });
  editor.noFaults();
}

const XSS = '<img src=x onerror="window.__xss=1">';
const SCRIPT = "</script><script>window.__xss=1</script>";
const URL_SCRIPT = "javascript:window.__xss=1";
const model = { type: "load_model", inputs: { source: "shapes" } };
const node = (more: object) => JSON.stringify({ weft: 1, nodes: { model, ...more } });

/** Those that are in form, or nearly: each opens, or says why not. */
const WORKFLOWS: Record<string, string> = {
  "id __proto__": '{"weft":1,"nodes":{"__proto__":{"type":"load_model","inputs":{"source":"shapes"},"polluted":true}}}',
  "id constructor": node({ constructor: model, toString: model, hasOwnProperty: model }),
  "node with __proto__ as a field": '{"weft":1,"nodes":{"a":{"type":"load_model","__proto__":{"polluted":1},"inputs":{"__proto__":{"polluted":2}}}}}',
  "top __proto__": '{"weft":1,"__proto__":{"polluted":1},"nodes":{"a":{"type":"load_model"}}}',
  "constructor.prototype": '{"weft":1,"nodes":{"a":{"type":"load_model","inputs":{"constructor":{"prototype":{"polluted":1}}}}},"constructor":{"prototype":{"polluted":1}}}',
  "definition __proto__": '{"weft":1,"nodes":{"a":{"type":"__proto__"}},"definitions":{"__proto__":{"inputs":{},"outputs":{},"nodes":{"b":{"type":"load_model"}}}}}',
  "parameter __proto__": '{"weft":1,"nodes":{"a":{"type":"load_model"}},"parameters":{"__proto__":{"input":"a.source"},"constructor":{"input":"a.source"}}}',
  "ui __proto__": '{"weft":1,"nodes":{"a":{"type":"load_model"}},"ui":{"__proto__":{"x":1,"polluted":1},"a":{"x":"<b>","y":null}}}',
  "type constructor": node({ a: { type: "constructor" }, b: { type: "__proto__" }, c: { type: "toString" } }),
  "id markup": node({ [XSS]: model }),
  "type markup": node({ a: { type: XSS } }),
  "text markup": node({ prompt: { type: "encode_prompt", inputs: { model: { link: "model" }, text: XSS + SCRIPT } } }),
  "title markup": JSON.stringify({ weft: 1, meta: { title: XSS, description: SCRIPT, author: XSS }, nodes: { model } }),
  "title object": JSON.stringify({ weft: 1, meta: { title: { toString: 1 }, description: [XSS] }, nodes: { model } }),
  "note markup": JSON.stringify({ weft: 1, nodes: { model }, ui: { "#notes": { n: { x: 0, y: 300, width: 240, height: 120, text: `# ${XSS}\n[click](${URL_SCRIPT}) ![x](${URL_SCRIPT}) ${SCRIPT} <a href="${URL_SCRIPT}">a</a>` } } } }),
  "group markup": JSON.stringify({ weft: 1, nodes: { model }, ui: { "#groups": { g: { name: XSS, nodes: ["model"], x: 0, y: 0, width: 300, height: 200, colour: `red;background:url(${URL_SCRIPT})` } } } }),
  "parameter markup": JSON.stringify({ weft: 1, nodes: { model }, parameters: { [XSS]: { input: "model.source", help: SCRIPT } } }),
  "definition markup": JSON.stringify({ weft: 1, nodes: { a: { type: XSS } }, definitions: { [XSS]: { description: SCRIPT, inputs: {}, outputs: {}, nodes: { model } } } }),
  "file javascript": node({ a: { type: "load_image", inputs: { path: URL_SCRIPT } } }),
  "file outside": node({ a: { type: "load_image", inputs: { path: "../../../../etc/passwd" } } }),
  "file remote": node({ a: { type: "load_image", inputs: { path: "http://192.0.2.1/x.png" } } }),
  "model markup": node({ a: { type: "load_model", inputs: { source: XSS } } }),
  bidi: node({ "\u202Egpj.exe\u202C": model, prompt: { type: "encode_prompt", inputs: { text: "\u202E\u2066abc\u0000\u0007\u001B[31m" } } }),
  "control characters": JSON.stringify({ weft: 1, meta: { title: "\u0000\u0001\u001B]0;x\u0007\n\r\t" }, nodes: { "a\nb": model } }),
  "lone surrogates": '{"weft":1,"meta":{"title":"\\ud800"},"nodes":{"\\udfff":{"type":"load_model"}}}',
  "huge text": node({ prompt: { type: "encode_prompt", inputs: { text: "x".repeat(1_000_000) } } }),
  "huge id": node({ ["x".repeat(5000)]: model }),
  "huge numbers": '{"weft":1,"nodes":{"a":{"type":"denoise","inputs":{"steps":1e999,"seed":99999999999999999999999999,"eta":-1e-400}}}}',
  "positions out of the world": JSON.stringify({ weft: 1, nodes: { model }, ui: { model: { x: 1e308, y: -1e308, width: -5, height: 1e12 } } }),
  "link to itself": node({ a: { type: "cfg", inputs: { prompt: { link: "a" } } } }),
  "definition of itself": '{"weft":1,"nodes":{"a":{"type":"d"}},"definitions":{"d":{"inputs":{},"outputs":{},"nodes":{"b":{"type":"d"}}}}}',
  "duplicate keys": '{"weft":1,"nodes":{"a":{"type":"load_model"},"a":{"type":"cfg"}},"nodes":{"b":{"type":"load_model"}}}',
  "byte order mark": `\uFEFF${node({})}`,
};

/** Those that nobody can open: each must be told in a sentence. */
const BROKEN: Record<string, string> = {
  NaN: '{"weft":1,"nodes":{"a":{"type":"denoise","inputs":{"eta":NaN}}}}',
  "cut off": '{"weft":1,"nodes":{"a":{"type":"load',
  deep: `${"[".repeat(200_000)}${"]".repeat(200_000)}`,
  "deep objects": `{"weft":1,"nodes":${'{"a":'.repeat(100_000)}1${"}".repeat(100_000)}}`,
  "a list": "[1,2,3]",
  nothing: "",
  "not JSON": "<svg onload=window.__xss=1>",
  "nodes are a list": '{"weft":1,"nodes":[1,2]}',
};

/** Something is shown that a person can read: a tab with the workflow, or a notice. */
async function answered(editor: Editor, tabs: number): Promise<"opened" | "told"> {
  const notice = editor.page.locator(".notice");
  await expect.poll(async () => (await editor.tabs.count()) > tabs || (await notice.count()) > 0, { timeout: 10_000, message: "neither a tab nor a notice" }).toBe(true);
  return (await editor.tabs.count()) > tabs ? "opened" : "told";
}

const closeNotices = async (editor: Editor) => {
  for (const button of await editor.page.getByRole("button", { name: "Close this notice" }).all()) await button.click({ timeout: 1000 }).catch(() => undefined);
};

scenario(`${Object.keys(WORKFLOWS).length} hostile workflows: each opens or says why not, and nothing of it runs`, async (editor) => {
  await editor.empty();
  // The outline shows each of them beside the graph; their tabs stay.
  await editor.panel("2");
  await editor.outline.waitFor();
  for (const [name, text] of Object.entries(WORKFLOWS)) {
    const tabs = await editor.tabs.count();
    await editor.drop([{ name: "hostile.json", mime: "application/json", bytes: text }]);
    const how = await answered(editor, tabs).catch((error: Error) => { throw new Error(`${name}: ${error.message}`); });
    if (how === "opened") {
      await editor.page.getByRole("group", { name: /^Workflow / }).waitFor();
      await editor.page.getByRole("radio", { name: "App" }).click();
      await editor.page.getByRole("main", { name: "Result" }).waitFor();
    }
    await closeNotices(editor);
    await unharmed(editor).catch((error: Error) => { throw new Error(`${name}: ${error.message}`); });
  }
}, { timeout: 120_000, errors: [/Failed to load resource.*40\d|42\d/] });

scenario(`${Object.keys(BROKEN).length} broken files: each is told in a sentence`, async (editor) => {
  await editor.empty();
  for (const [name, text] of Object.entries(BROKEN)) {
    await editor.drop([{ name: "broken.json", mime: "application/json", bytes: text }]);
    const notice = editor.page.getByRole("status").filter({ hasText: "broken" });
    await notice.waitFor().catch(() => { throw new Error(`${name}: no sentence`); });
    expect(await notice.textContent(), name).toMatch(/cannot be opened\..*[a-z]{3,}.*\./);
    expect(await editor.tabs.count()).toBe(1);
    await closeNotices(editor);
    await unharmed(editor);
  }
}, { errors: [/Failed to load resource/] });

// Pictures

function chunk(type: string, data: Buffer, length = data.length): Buffer {
  const head = Buffer.alloc(8);
  head.writeUInt32BE(length >>> 0, 0);
  head.write(type, 4, "latin1");
  const tail = Buffer.alloc(4);
  tail.writeUInt32BE(checksum(Buffer.concat([Buffer.from(type, "latin1"), data])), 0);
  return Buffer.concat([head, data, tail]);
}
function checksum(bytes: Buffer): number {
  let crc = 0xffffffff;
  for (const byte of bytes) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit += 1) crc = crc & 1 ? (crc >>> 1) ^ 0xedb88320 : crc >>> 1;
  }
  return (crc ^ 0xffffffff) >>> 0;
}
const SIGNATURE = Buffer.from([137, 80, 78, 71, 13, 10, 26, 10]);
function header(width: number, height: number): Buffer {
  const data = Buffer.alloc(13);
  data.writeUInt32BE(width, 0);
  data.writeUInt32BE(height, 4);
  data.set([8, 0, 0, 0, 0], 8);
  return chunk("IHDR", data);
}
const PIXEL = chunk("IDAT", deflateSync(Buffer.from([0, 0])));
const END = chunk("IEND", Buffer.alloc(0));
const png = (...chunks: Buffer[]) => Buffer.concat([SIGNATURE, header(1, 1), ...chunks, PIXEL, END]);
const text = (key: string, value: string) => chunk("tEXt", Buffer.from(`${key}\0${value}`, "latin1"));

const PICTURES: Record<string, { name: string; mime: string; bytes: Buffer | string }> = {
  "no workflow inside": { name: "plain.png", mime: "image/png", bytes: png() },
  "broken workflow inside": { name: "broken.png", mime: "image/png", bytes: png(text("weft", '{"weft":1,"nodes":'), text("workflow", XSS)) },
  "a chunk that says it is huge": { name: "huge.png", mime: "image/png", bytes: Buffer.concat([SIGNATURE, header(1, 1), chunk("tEXt", Buffer.from("weft\0{}"), 0x7fffffff)]) },
  "a text that grows when it is unpacked": { name: "bomb.png", mime: "image/png", bytes: png(chunk("zTXt", Buffer.concat([Buffer.from("weft\0\0", "latin1"), deflateSync(Buffer.alloc(64 * 1024 * 1024, 32))]))) },
  "sides of a million": { name: "wide.png", mime: "image/png", bytes: Buffer.concat([SIGNATURE, header(1_000_000, 1_000_000), PIXEL, END]) },
  "cut off": { name: "cut.png", mime: "image/png", bytes: png().subarray(0, 30) },
  "SVG named .png": { name: "drawing.png", mime: "image/png", bytes: `<svg xmlns="http://www.w3.org/2000/svg" onload="window.__xss=1"><script>window.__xss=1</script></svg>` },
  "HTML named .png": { name: "page.png", mime: "image/png", bytes: `<html>${SCRIPT}</html>` },
  "a name with markup": { name: `${XSS}.png`, mime: "image/png", bytes: png() },
};

const READABLE = new Set(["no workflow inside", "a name with markup"]);

scenario(`${Object.keys(PICTURES).length} hostile pictures: each is told in a sentence, or is a picture`, async (editor) => {
  await editor.empty();
  for (const [name, file] of Object.entries(PICTURES)) {
    await editor.drop([file], editor.page.getByRole("banner"));
    const notice = editor.page.locator(".notice").first();
    // A picture that can be read is an image to work with.
    const card = editor.cards().first();
    await notice.or(card).first().waitFor().catch(() => { throw new Error(`${name}: no sentence`); });
    if (READABLE.has(name)) {
      await card.waitFor().catch(() => { throw new Error(`${name}: no card`); });
      await editor.focusCanvas();
      await editor.press("Control+z");
      await card.waitFor({ state: "detached" });
    } else {
      expect(await editor.cards().count(), name).toBe(0);
      expect(await notice.textContent(), name).toMatch(/cannot be (opened|taken)\..*[a-z]{3,}/);
    }
    expect(await editor.tabs.count(), name).toBe(1);
    await closeNotices(editor);
    await unharmed(editor).catch((error: Error) => { throw new Error(`${name}: ${error.message}`); });
  }
}, { errors: [/Failed to load resource/] });

scenario("a workflow of 10,000 nodes opens, and is edited", async (editor) => {
  const nodes: Record<string, unknown> = { model };
  const ui: Record<string, unknown> = { model: { x: -300, y: 0 } };
  for (let at = 0; at < 9_999; at += 1) {
    nodes[`prompt_${at}`] = { type: "encode_prompt", inputs: { model: { link: "model" }, text: `number ${at}` } };
    ui[`prompt_${at}`] = { x: (at % 100) * 240, y: Math.floor(at / 100) * 160 };
  }
  await editor.drop([{ name: "many.json", mime: "application/json", bytes: JSON.stringify({ weft: 1, nodes, ui }) }]);
  await editor.page.getByRole("group", { name: "Workflow many: 10000 nodes" }).waitFor({ timeout: 20_000 });
  await editor.focusCanvas();
  await editor.press("n");
  await editor.press("Escape");
  await editor.press("Control+z");
  await unharmed(editor);
}, { timeout: 60_000, errors: [/Failed to load resource/] });
