/** Wires that are there: moved, taken off, inserted into, kept when a node goes; and what stands on the canvas. */
import { expect, link, scenario, textToImage } from "./harness";

const placed = (inputs: Parameters<typeof textToImage>[0] = {}) => ({
  ...textToImage(inputs),
  ui: { model: { x: 0, y: 0 }, prompt: { x: 240, y: 0 }, cfg: { x: 480, y: 0 }, denoise: { x: 720, y: 0 }, image: { x: 1000, y: 0 }, save: { x: 1240, y: 0 } },
});

scenario("takes a wire off by dragging its end away, and moves it to another input", async (editor) => {
  await editor.open(placed());
  const end = await editor.middle(editor.port("cfg.prompt"));
  await editor.drag(editor.port("cfg.prompt"), editor.port("cfg.negative"));
  await expect.poll(async () => (await editor.document()).nodes["cfg"]?.inputs).toEqual({ negative: link("prompt") });
  await editor.drag(editor.port("cfg.negative"), { x: end.x - 20, y: end.y + 220 });
  await expect.poll(async () => (await editor.document()).nodes["cfg"]?.inputs ?? {}).toEqual({});
  await editor.focusCanvas();
  await editor.press("Control+z", "Control+z");
  await expect.poll(async () => (await editor.document()).nodes["cfg"]?.inputs).toEqual({ prompt: link("prompt") });
});

scenario("removes a wire with Alt and a click on its port", async (editor) => {
  await editor.open(placed());
  const { x, y } = await editor.middle(editor.port("image.latents"));
  await editor.page.keyboard.down("Alt");
  await editor.page.mouse.click(x, y);
  await editor.page.keyboard.up("Alt");
  await expect.poll(async () => (await editor.document()).nodes["image"]?.inputs).toEqual({ model: link("model") });
  // The field that lost it says so at once.
  await editor.card("image").getByText(/latents is needed/).waitFor();
});

scenario("adds a wire to a list without taking the place of the one that is there", async (editor) => {
  const document = placed();
  document.nodes["pag"] = { type: "pag", inputs: {} };
  Object.assign(document.ui, { pag: { x: 480, y: 200 } });
  await editor.open(document);
  await editor.wire("pag>guidance", "denoise.guidance.0");
  await expect.poll(async () => (await editor.document()).nodes["denoise"]?.inputs?.["guidance"]).toEqual([link("cfg"), link("pag.guidance")]);
});

scenario("inserts a node into the wire it is dropped on, and closes the wire behind one that is deleted with Backspace", async (editor) => {
  const document = placed();
  document.nodes["small"] = { type: "resize", inputs: { width: 32 } };
  Object.assign(document.ui, { small: { x: 1000, y: 300 } });
  await editor.open(document);
  const from = await editor.middle(editor.port("image>image"));
  const to = await editor.middle(editor.port("save.image"));
  await editor.drag(editor.card("small").locator(".card__name"), { x: (from.x + to.x) / 2, y: (from.y + to.y) / 2 });
  await expect.poll(async () => (await editor.document()).nodes["small"]?.inputs).toEqual({ width: 32, image: link("image") });
  expect((await editor.document()).nodes["save"]?.inputs?.["image"]).toEqual(link("small.image"));
  await editor.choose("small");
  await editor.press("Backspace");
  await editor.card("small").waitFor({ state: "detached" });
  const { nodes } = await editor.document();
  expect(nodes["small"]).toBeUndefined();
  expect(nodes["save"]?.inputs?.["image"]).toEqual(link("image"));
});

scenario("deletes without the wire by Delete, and brings it all back", async (editor) => {
  await editor.open(placed());
  const before = await editor.documentText();
  await editor.choose("cfg");
  await editor.press("Delete");
  await editor.card("cfg").waitFor({ state: "detached" });
  expect((await editor.document()).nodes["denoise"]?.inputs?.["guidance"] ?? []).toEqual([]);
  await editor.press("Control+z");
  await editor.card("cfg").waitFor();
  expect(await editor.documentText()).toBe(before);
});

scenario("draws a wire as a tag with W, which goes to its source, and bends one by double-click", async (editor) => {
  await editor.open(placed());
  await editor.choose("save");
  await editor.press("w");
  const tag = editor.card("save").getByRole("button", { name: "image" });
  await tag.waitFor();
  await tag.click();
  await expect.poll(() => editor.card("image").evaluate((element) => element === document.activeElement || element.classList.contains("card--chosen"))).toBe(true);
  const from = await editor.middle(editor.port("prompt>conditioning"));
  const to = await editor.middle(editor.port("cfg.prompt"));
  await editor.page.mouse.dblclick((from.x + to.x) / 2, (from.y + to.y) / 2);
  await editor.page.getByRole("img", { name: /^reroute of/ }).waitFor();
  const { nodes, ui } = await editor.document();
  expect(Object.keys(nodes)).toHaveLength(6);
  expect(JSON.stringify(ui)).toContain("#reroutes");
  expect(ui?.["save"]).toMatchObject({ tags: ["image"] });
});

scenario("groups, names, moves and mutes nodes; notes are text and run no script", async (editor) => {
  await editor.open(placed());
  await editor.choose("cfg", "prompt");
  await editor.press("g");
  const group = editor.page.getByRole("region", { name: "group: Group" });
  await group.waitFor();
  await group.locator(".group__name").dblclick();
  await editor.page.getByRole("textbox", { name: "Name of the group" }).fill("Words");
  await editor.press("Enter");
  const named = editor.page.getByRole("region", { name: "group: Words" });
  await named.waitFor();
  await named.getByText("2 nodes").waitFor();
  const before = (await editor.document()).ui?.["cfg"] as { x: number; y: number };
  const grip = await editor.middle(named.locator(".group__name"));
  await editor.drag(grip, { x: grip.x + 48, y: grip.y + 96 });
  await expect.poll(async () => ((await editor.document()).ui?.["cfg"] as { y: number }).y).toBeGreaterThan(before.y + 40);

  await editor.focusCanvas();
  await editor.press("n");
  const text = editor.page.getByRole("textbox", { name: "Text of the note" });
  await text.fill("# Why\n**red** <img src=x onerror=\"document.title='broken'\"> [x](javascript:alert(1))");
  await editor.press("Control+Enter");
  const note = editor.page.getByRole("complementary", { name: "note" });
  await note.getByText("Why", { exact: true }).waitFor();
  await note.getByText("<img src=x onerror=").waitFor();
  expect(await note.locator("img").count()).toBe(0);
  expect(await note.locator("a[href^='javascript']").count()).toBe(0);
  expect(await editor.page.title()).not.toBe("broken");
  const document = await editor.document();
  expect(Object.keys(document.nodes)).toHaveLength(6);
  expect(JSON.stringify(document.ui)).toContain("onerror");
});

scenario("collapses, aligns, tidies and nudges cards, each one step back", async (editor) => {
  await editor.open(placed());
  const before = await editor.documentText();
  await editor.choose("cfg");
  await editor.press("c");
  await editor.page.getByRole("article", { name: /^cfg,.*collapsed$/ }).waitFor();
  expect((await editor.document()).ui?.["cfg"]).toMatchObject({ collapsed: true });
  await editor.press("c");
  await editor.choose("cfg", "prompt");
  await editor.press("Shift+a", "ArrowLeft");
  await expect.poll(async () => {
    const { ui } = await editor.document();
    return (ui?.["cfg"] as { x: number }).x === (ui?.["prompt"] as { x: number }).x;
  }).toBe(true);
  await editor.choose("save");
  await editor.press("Alt+Shift+ArrowDown");
  expect((await editor.document()).ui?.["save"]).toMatchObject({ y: 8 });
  await editor.focusCanvas();
  await editor.press("Escape", "q");
  await expect.poll(async () => ((await editor.document()).ui?.["save"] as { y: number }).y).not.toBe(8);
  for (let steps = 0; steps < 5; steps += 1) await editor.press("Control+z");
  expect(await editor.documentText()).toBe(before);
});

scenario("leaves muted nodes and what needs them out of the plan, and bypassed ones let their input through", async (editor) => {
  const document = placed();
  document.nodes["small"] = { type: "resize", inputs: { image: link("image"), width: 32 } };
  const save = document.nodes["save"];
  if (save) save.inputs = { image: link("small"), name: "red" };
  document.nodes["other"] = { type: "save_image", inputs: { image: link("image"), name: "whole" } };
  await editor.open(document);
  await editor.choose("small");
  await editor.press("m");
  await editor.page.getByRole("article", { name: /^small,.*muted/ }).waitFor();
  await editor.page.getByRole("article", { name: /^save,.*left out/ }).waitFor();
  await editor.page.getByRole("article", { name: /^other,.*will run/ }).waitFor();
  expect((await editor.document()).nodes["small"]?.mode).toBe("mute");
  await editor.choose("small");
  await editor.press("b");
  await editor.page.getByRole("article", { name: /^small,.*bypass/ }).waitFor();
  await editor.page.getByRole("article", { name: /^save,.*will run/ }).waitFor();
  expect(await editor.run()).toMatch(/^done/);
  await editor.card("save").getByRole("img").waitFor();
  expect((await editor.document()).nodes["small"]?.mode).toBe("bypass");
});

scenario("pins an input to its card by P and takes it off again", async (editor) => {
  await editor.open(placed());
  await editor.choose("denoise");
  await editor.press("p");
  await editor.page.getByRole("menu", { name: "On the card of denoise" }).getByRole("menuitem", { name: /eta/ }).click();
  await editor.card("denoise").getByRole("spinbutton", { name: "eta" }).waitFor();
  await editor.choose("denoise");
  await editor.inspector.getByRole("spinbutton", { name: "eta" }).focus();
  await editor.inspector.getByRole("button", { name: /unpin/ }).click();
  await editor.card("denoise").getByRole("spinbutton", { name: "eta" }).waitFor({ state: "detached" });
  await editor.focusCanvas();
});
