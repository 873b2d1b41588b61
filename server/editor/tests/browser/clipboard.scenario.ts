/** Copies, in this tab, in another and from outside; and steps back to the same bytes. */
import { expect, link, scenario, textToImage } from "./harness";

scenario("copies and pastes nodes with the wires between them, and with those from outside when asked", async (editor) => {
  await editor.open(textToImage());
  await editor.choose("prompt", "cfg");
  await editor.press("Control+c");
  await editor.hear(/^copied/);
  await editor.press("Control+v");
  await editor.card("cfg_2").waitFor();
  const { nodes } = await editor.document();
  expect(nodes["cfg_2"]?.inputs).toEqual({ prompt: link("prompt_2") });
  expect(nodes["prompt_2"]?.inputs).toEqual({ text: "a red circle" });
  await editor.choose("cfg");
  await editor.press("Control+c", "Control+Shift+v");
  await editor.card("cfg_3").waitFor();
  expect((await editor.document()).nodes["cfg_3"]?.inputs).toEqual({ prompt: link("prompt") });
  await editor.press("Control+d");
  await editor.card("cfg_4").waitFor();
  await editor.press("Control+z", "Control+z", "Control+z");
  await expect.poll(async () => Object.keys((await editor.document()).nodes)).toHaveLength(6);
});

scenario("pastes what was copied into another workflow of this window and of another one", async (editor) => {
  await editor.open(textToImage());
  await editor.choose("prompt", "cfg");
  await editor.press("Control+c");
  await editor.empty();
  await editor.focusCanvas();
  await editor.press("Control+v");
  await editor.card("cfg").waitFor();
  expect((await editor.document()).nodes["cfg"]?.inputs).toEqual({ prompt: link("prompt") });
  const other = await editor.anotherTab();
  await other.empty();
  await other.focusCanvas();
  await other.press("Control+v");
  await other.card("cfg").waitFor();
  expect(Object.keys((await other.document()).nodes).sort()).toEqual(["cfg", "prompt"]);
  other.noFaults();
});

scenario("takes a plain document from the clipboard of another program, and says what is wrong with other text", async (editor) => {
  await editor.empty();
  const text = JSON.stringify({ weft: 1, nodes: { number: { type: "integer", inputs: { value: 9007199254740993 } }, __proto__: {} } }).replace("9007199254740992", "9007199254740993");
  await editor.page.evaluate((words) => navigator.clipboard.writeText(words), text);
  await editor.focusCanvas();
  await editor.press("Control+v");
  await editor.card("number").waitFor();
  expect(await editor.documentText()).toContain("9007199254740993");
  const before = await editor.documentText();
  await editor.page.evaluate(() => navigator.clipboard.writeText("a shopping list"));
  await editor.focusCanvas();
  const said = (await editor.said()).length;
  await editor.press("Control+v");
  await editor.hear(/./, said);
  expect(await editor.documentText()).toBe(before);
});

scenario("cuts nodes and puts them back elsewhere", async (editor) => {
  await editor.open(textToImage());
  await editor.choose("save");
  await editor.press("Control+x");
  await editor.card("save").waitFor({ state: "detached" });
  await editor.focusCanvas();
  await editor.press("Control+v");
  await editor.card("save").waitFor();
  expect((await editor.document()).nodes["save"]?.inputs).toEqual({ name: "red" });
});

scenario("steps back through everything to the same bytes, and forward again", async (editor) => {
  await editor.open({ ...textToImage(), ui: { model: { x: 0, y: 0 }, prompt: { x: 240, y: 0 }, cfg: { x: 480, y: 0 }, denoise: { x: 720, y: 0 }, image: { x: 1000, y: 0 }, save: { x: 1240, y: 0 } } });
  const texts = [await editor.documentText()];
  const acts: (() => Promise<void>)[] = [
    async () => { await editor.choose("cfg"); await editor.press("m"); },
    async () => { await editor.choose("denoise"); await editor.press("Control+d"); },
    async () => { await editor.choose("save"); await editor.press("F2"); await editor.page.getByRole("textbox", { name: "Name of the node" }).first().fill("result"); await editor.press("Enter"); await editor.card("result").waitFor(); },
    async () => { await editor.choose("prompt", "cfg"); await editor.press("g"); },
    async () => { await editor.choose("prompt", "cfg"); await editor.press("Control+g"); },
    async () => { await editor.choose("image"); await editor.press("Delete"); },
    async () => { await editor.drag(editor.card("model").locator(".card__name"), { x: 300, y: 600 }); },
  ];
  for (const act of acts) {
    await act();
    await expect.poll(() => editor.documentText()).not.toBe(texts.at(-1));
    texts.push(await editor.documentText());
  }
  await editor.focusCanvas();
  for (const text of texts.slice(0, -1).reverse()) {
    await editor.press("Control+z");
    await expect.poll(() => editor.documentText()).toBe(text);
  }
  for (const text of texts.slice(1)) {
    await editor.press("Control+Shift+z");
    await expect.poll(() => editor.documentText()).toBe(text);
  }
}, { timeout: 60_000 });
