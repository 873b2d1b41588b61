/** Tabs, and what is dragged into the page. */
import { deflateSync } from "node:zlib";
import { type Editor, expect, scenario, textToImage } from "./harness";

const titles = async (editor: Editor): Promise<string[]> => editor.tabs.evaluateAll((tabs) => tabs.map((tab) => (tab.getAttribute("aria-label") ?? "").replace(", unsaved", "")));

scenario("opens, orders, closes and reopens tabs with what was in them", async (editor) => {
  await editor.open(textToImage(), "one.json");
  await editor.open({ weft: 1, meta: { title: "Second" }, nodes: { a: { type: "integer", inputs: { value: 2 } } } }, "two.json");
  await editor.press("Alt+n");
  await editor.page.getByRole("group", { name: /: 0 nodes$/ }).waitFor();
  expect((await titles(editor)).slice(0, 2)).toEqual(["one", "Second"]);
  await editor.press("Alt+PageUp");
  await editor.card("a").waitFor();
  await editor.choose("a");
  await editor.press("m");
  await expect.poll(async () => (await editor.document()).nodes["a"]?.mode).toBe("mute");
  // By drag: the second before the first.
  await editor.tabs.nth(1).dragTo(editor.tabs.nth(0));
  await expect.poll(async () => (await titles(editor))[0]).toBe("Second");
  await editor.tabs.nth(0).focus();
  await editor.press("Delete");
  await expect.poll(async () => (await titles(editor)).includes("Second")).toBe(false);
  await editor.page.getByRole("button", { name: "Open it again" }).click();
  await editor.card("a").waitFor();
  expect((await editor.document()).nodes["a"]?.mode).toBe("mute");
  // Its history came back with it.
  await editor.focusCanvas();
  await editor.press("Control+z");
  await expect.poll(async () => (await editor.document()).nodes["a"]?.mode).toBeUndefined();
});

scenario("opens a picture with a workflow inside, and the same picture made again is the same", async (editor) => {
  await editor.open(textToImage({ seed: 77 }));
  expect(await editor.run()).toMatch(/^done/);
  const { jobs } = (await (await fetch(`${editor.url}/api/v1/jobs?limit=1`)).json()) as { jobs: { outputs: { file?: string }[] }[] };
  const file = jobs[0]?.outputs.find((output) => output.file)?.file ?? "";
  const bytes = Buffer.from(await (await fetch(`${editor.url}/api/v1/files/${file}`)).arrayBuffer());
  await editor.drop([{ name: "dragged.png", mime: "image/png", bytes }]);
  await editor.page.getByRole("tab", { name: /dragged/, selected: true }).waitFor();
  await editor.card("denoise").waitFor();
  expect((await editor.document()).nodes["denoise"]?.inputs?.["seed"]).toBe(77);
});

/** A PNG of one pixel without a workflow. */
function plainPng(): Buffer {
  const chunk = (kind: string, data: Buffer): Buffer => {
    const body = Buffer.concat([Buffer.from(kind), data]);
    let crc = ~0;
    for (const byte of body) {
      crc ^= byte;
      for (let bit = 0; bit < 8; bit += 1) crc = crc & 1 ? (crc >>> 1) ^ 0xedb88320 : crc >>> 1;
    }
    const end = Buffer.alloc(4);
    end.writeUInt32BE(~crc >>> 0);
    const length = Buffer.alloc(4);
    length.writeUInt32BE(data.length);
    return Buffer.concat([length, body, end]);
  };
  const head = Buffer.from([0, 0, 0, 1, 0, 0, 0, 1, 8, 2, 0, 0, 0]);
  return Buffer.concat([Buffer.from([137, 80, 78, 71, 13, 10, 26, 10]), chunk("IHDR", head), chunk("IDAT", deflateSync(Buffer.from([0, 255, 0, 0]))), chunk("IEND", Buffer.alloc(0))]);
}

scenario("says line and column of a broken file, and opens nothing", async (editor) => {
  editor.expectError(/4\d\d/);
  await editor.open(textToImage(), "good.json");
  await editor.drop([{ name: "broken.json", mime: "application/json", bytes: '{\n  "weft": 1,\n  "nodes": {"a": {"type": "integer",,}}\n}' }]);
  const notice = editor.page.getByRole("status").filter({ hasText: "broken.json cannot be opened." });
  await notice.waitFor();
  expect(await notice.textContent()).toMatch(/Line 3, column \d+/);
  await editor.drop([{ name: "twice.json", mime: "application/json", bytes: '{"weft": 1, "nodes": {}, "nodes": {}}' }]);
  await editor.page.getByRole("status").filter({ hasText: "twice.json cannot be opened." }).waitFor();
  expect(await titles(editor)).toEqual(["good"]);
});

scenario("makes a load_image of a picture without a workflow that is dropped on the canvas", async (editor) => {
  editor.expectError(/4\d\d/);
  await editor.open(textToImage(), "good.json");
  const box = await editor.pane.boundingBox();
  await editor.drop([{ name: "pixel.png", mime: "image/png", bytes: plainPng() }], editor.pane, { x: (box?.x ?? 0) + 200, y: (box?.y ?? 0) + 500 });
  await editor.card("load_image").waitFor();
  expect((await editor.document()).nodes["load_image"]?.inputs?.["path"]).toMatch(/^sha256:[0-9a-f]{64}$/);
});

scenario("edits the workflow as text, and refuses text that is no workflow with its place", async (editor) => {
  await editor.open(textToImage(), "good.json");
  await editor.command("The workflow as JSON or Python");
  const field = editor.page.getByRole("textbox", { name: "The workflow as JSON" });
  const text = await field.inputValue();
  await field.fill(text.replace('"steps": 2', '"steps": 2,,'));
  await editor.page.getByRole("button", { name: "Take it over" }).click();
  await editor.page.getByRole("alert").filter({ hasText: /Line \d+, column \d+/ }).waitFor();
  await field.fill(text.replace('"steps": 2', '"steps": 9'));
  await editor.page.getByRole("button", { name: "Take it over" }).click();
  await editor.page.getByRole("radio", { name: "Python" }).click();
  await expect.poll(() => editor.page.getByRole("textbox", { name: "The workflow as Python" }).inputValue()).toContain("steps=9");
  await editor.press("Escape");
  expect((await editor.document()).nodes["denoise"]?.inputs?.["steps"]).toBe(9);
  await editor.focusCanvas();
  await editor.press("Control+z");
  await expect.poll(async () => (await editor.document()).nodes["denoise"]?.inputs?.["steps"]).toBe(2);
});
