/** The outline: the canvas's twin for keys and screen readers. */
import { type Editor, expect, link, scenario, textToImage } from "./harness";

async function openOutline(editor: Editor): Promise<void> {
  await editor.panel("2");
  await editor.outline.waitFor();
  await expect.poll(() => editor.page.evaluate(() => document.activeElement?.closest("aside")?.getAttribute("aria-label"))).toBe("Outline");
  if (!(await editor.outline.evaluate((element) => element === document.activeElement))) await editor.outline.focus();
}
const now = (editor: Editor): Promise<string> =>
  editor.outline.evaluate((tree) => document.getElementById(tree.getAttribute("aria-activedescendant") ?? "")?.textContent ?? "");

async function goTo(editor: Editor, text: RegExp): Promise<void> {
  await editor.press("Home");
  for (let tries = 0; tries < 40 && !text.test(await now(editor)); tries += 1) await editor.press("ArrowDown");
  expect(await now(editor)).toMatch(text);
}

scenario("edits values, links, names and modes in the outline by keyboard alone", async (editor) => {
  await editor.open(textToImage());
  await openOutline(editor);
  expect(await editor.outline.getByRole("treeitem").count()).toBeGreaterThanOrEqual(6);
  await goTo(editor, /^denoise/);
  await editor.press("ArrowRight");
  await goTo(editor, /^steps/);
  await editor.press("Enter");
  const form = editor.page.getByRole("dialog", { name: "denoise.steps" });
  await form.waitFor();
  await expect.poll(() => form.evaluate((element) => element.contains(document.activeElement) && document.activeElement !== element)).toBe(true);
  await editor.press("Control+a");
  await editor.type("4");
  await editor.press("Enter", "Escape");
  if (await form.isVisible()) await editor.press("Escape");
  await form.waitFor({ state: "detached" });
  expect((await editor.document()).nodes["denoise"]?.inputs?.["steps"]).toBe(4);

  await editor.outline.focus();
  await goTo(editor, /^cfg/);
  await editor.press("m");
  await expect.poll(async () => (await editor.document()).nodes["cfg"]?.mode).toBe("mute");
  await editor.outline.focus();
  await editor.press("m", "F2");
  const name = editor.page.getByRole("textbox", { name: "Rename cfg" });
  await name.fill("guide");
  await editor.press("Enter");
  await expect.poll(async () => (await editor.document()).nodes["denoise"]?.inputs?.["guidance"]).toEqual([link("guide")]);
  const { nodes } = await editor.document();
  expect(nodes["guide"]?.mode).toBeUndefined();
  expect(nodes["cfg"]).toBeUndefined();
});

scenario("adds a node after another, links it, moves it and deletes it in the outline by keyboard alone", async (editor) => {
  await editor.open(textToImage());
  await openOutline(editor);
  await goTo(editor, /^image/);
  await editor.press("a");
  await editor.page.getByRole("dialog", { name: "Add a node after image" }).waitFor();
  await editor.type("upscale");
  await editor.press("Control+a");
  await editor.type("resize");
  await editor.press("Enter");
  await expect.poll(async () => (await editor.document()).nodes["resize"]?.inputs?.["image"]).toEqual(link("image"));
  await editor.outline.focus();
  await goTo(editor, /^save/);
  await editor.press("l");
  await editor.page.getByRole("dialog", { name: "Link an input of save" }).waitFor();
  await editor.type("image");
  await editor.press("Enter");
  await editor.page.getByRole("dialog", { name: /^Link save\.image/ }).waitFor();
  await editor.type("resize");
  await editor.press("Enter");
  await expect.poll(async () => (await editor.document()).nodes["save"]?.inputs?.["image"]).toEqual(link("resize"));
  await editor.outline.focus();
  await goTo(editor, /^resize/);
  await editor.press("Backspace");
  await expect.poll(async () => Object.keys((await editor.document()).nodes)).not.toContain("resize");
  expect((await editor.document()).nodes["save"]?.inputs?.["image"]).toEqual(link("image"));
});

scenario("finds by word, type and state in the outline, and the canvas follows", async (editor) => {
  await editor.open(textToImage());
  await openOutline(editor);
  await editor.press("/");
  const find = editor.page.getByRole("searchbox", { name: /^Find in the outline/ });
  await find.fill("red circle");
  await editor.outline.getByRole("treeitem", { name: /prompt/ }).first().waitFor();
  await expect.poll(() => editor.outline.getByRole("treeitem", { name: /^save/ }).count()).toBe(0);
  await find.fill("type:save");
  await editor.outline.getByRole("treeitem", { name: /^save/ }).waitFor();
  await editor.press("Enter");
  await expect.poll(() => editor.inspector.getByRole("textbox", { name: "Name of the node" }).inputValue()).toBe("save");
  await find.fill("nothing has this");
  await editor.page.getByText("Nothing has these words.").waitFor();
});
