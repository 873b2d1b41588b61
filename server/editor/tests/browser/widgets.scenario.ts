/** Fields of every kind, on cards and in the inspector: what is typed stands in the document as it was meant. */
import { type Doc, type Editor, expect, scenario, textToImage } from "./harness";

const one = (type: string, inputs: Record<string, unknown> = {}): Doc => ({ weft: 1, nodes: { one: { type, inputs } }, ui: { one: { x: 0, y: 0 } } });
const inputsOf = async (editor: Editor, node = "one"): Promise<Record<string, unknown>> => (await editor.document()).nodes[node]?.inputs ?? {};

scenario("takes numbers by typing, comma, arrows and by dragging sideways", async (editor) => {
  await editor.open(textToImage());
  await editor.choose("cfg");
  const scale = editor.inspector.getByRole("spinbutton", { name: "scale", exact: true });
  await scale.click();
  await scale.fill("3,5");
  await editor.press("Enter");
  expect((await inputsOf(editor, "cfg"))["scale"]).toBe(3.5);
  await scale.click();
  await editor.press("ArrowUp", "Shift+ArrowUp");
  await editor.press("Tab");
  const stepped = (await inputsOf(editor, "cfg"))["scale"] as number;
  expect(stepped).toBeGreaterThan(4);
  // On the card, by the pointer.
  const field = editor.card("cfg").getByRole("spinbutton", { name: "scale" });
  const at = await editor.middle(field);
  await editor.drag(at, { x: at.x - 60, y: at.y });
  await expect.poll(async () => (await inputsOf(editor, "cfg"))["scale"]).toBeLessThan(stepped);
  // The whole drag is one step.
  await editor.focusCanvas();
  await editor.press("Control+z");
  await expect.poll(async () => (await inputsOf(editor, "cfg"))["scale"]).toBe(stepped);
});

scenario("refuses a number out of its range in words and offers the nearest by a button", async (editor) => {
  await editor.open(textToImage());
  await editor.choose("denoise");
  const steps = editor.inspector.getByRole("spinbutton", { name: "steps", exact: true });
  await steps.click();
  await steps.fill("0");
  await editor.press("Enter");
  const typo = editor.inspector.getByRole("status").filter({ has: editor.page.getByRole("button", { name: /^Take/ }) });
  await typo.waitFor();
  expect(await steps.getAttribute("aria-invalid")).toBe("true");
  expect((await inputsOf(editor, "denoise"))["steps"]).toBe(2);
  await steps.click();
  await steps.fill("0");
  await editor.inspector.getByRole("button", { name: "Take 1" }).click();
  await expect.poll(async () => (await inputsOf(editor, "denoise"))["steps"]).toBe(1);
});

scenario("keeps a seed of 64 bits to the last digit", async (editor) => {
  await editor.open(JSON.stringify(textToImage({ seed: 1 })).replace('"seed":1', '"seed":9223372036854775807'));
  await editor.card("denoise").waitFor();
  expect(await editor.documentText()).toContain("9223372036854775807");
  const seed = editor.page.getByRole("textbox", { name: "Seed" });
  await expect.poll(() => seed.inputValue()).toBe("9223372036854775807");
  await seed.fill("9007199254740993");
  await editor.press("Enter");
  expect(await editor.documentText()).toMatch(/"seed": 9007199254740993\b/);
  expect(await editor.run()).toMatch(/^done/);
});

scenario("applies seed policies before the run and writes them into the document", async (editor) => {
  await editor.open(textToImage({ seed: 40 }));
  const policy = editor.page.getByRole("button", { name: "What the seed does before a run" });
  await policy.click();
  await editor.page.getByRole("menuitemradio", { name: /^next/ }).or(editor.menuItem(/^next/)).first().click();
  // The first run takes the seed that is seen, the one after it the next.
  expect(await editor.run()).toMatch(/^done/);
  expect((await inputsOf(editor, "denoise"))["seed"]).toBe(40);
  expect(await editor.run()).toMatch(/^done/);
  expect((await inputsOf(editor, "denoise"))["seed"]).toBe(41);
  await policy.click();
  await editor.page.getByRole("menuitemradio", { name: /^random/ }).or(editor.menuItem(/^random/)).first().click();
  expect(await editor.run()).toMatch(/^done/);
  const drawn = (await inputsOf(editor, "denoise"))["seed"];
  expect(drawn).not.toBe(41);
  // What is seen is what ran.
  await expect.poll(() => editor.page.getByRole("textbox", { name: "Seed" }).inputValue()).toBe(String(drawn));
  const { jobs } = (await (await fetch(`${editor.url}/api/v1/jobs?limit=1`)).json()) as { jobs: { id: string }[] };
  const ran = (await (await fetch(`${editor.url}/api/v1/jobs/${jobs[0]?.id ?? ""}/workflow`)).json()) as Doc;
  expect(ran.nodes["denoise"]?.inputs?.["seed"]).toBe(drawn);
  await editor.focusCanvas();
  await editor.press("Shift+s");
  await expect.poll(async () => (await inputsOf(editor, "denoise"))["seed"]).toBe(41);
});

scenario("chooses from segments and lists, by pointer and by keys", async (editor) => {
  await editor.open(one("sega"));
  await editor.choose("one");
  await editor.inspector.getByRole("radio", { name: "away" }).click();
  expect((await inputsOf(editor))["direction"]).toBe("away");
  await editor.press("ArrowLeft");
  await expect.poll(async () => (await inputsOf(editor))["direction"] ?? "towards").toBe("towards");
  // An optional number: none is "to the end".
  const cooldown = editor.inspector.getByRole("spinbutton", { name: "cooldown" });
  await cooldown.click();
  await cooldown.fill("12");
  await editor.press("Enter");
  expect((await inputsOf(editor))["cooldown"]).toBe(12);
  await cooldown.fill("");
  await editor.press("Enter");
  expect((await inputsOf(editor))["cooldown"] ?? null).toBe(null);

  await editor.open(one("denoise"), "lists.json");
  await editor.choose("one");
  await editor.inspector.getByRole("button", { name: /^scheduler/ }).click();
  await editor.page.getByRole("dialog", { name: "scheduler" }).waitFor();
  await editor.type("karras");
  await editor.press("Enter");
  expect((await inputsOf(editor))["scheduler"]).toBe("dpmpp_2m_karras");
});

scenario("turns switches, takes colours by text, and edits lists and tables", async (editor) => {
  await editor.open(one("decode"));
  await editor.choose("one");
  await editor.inspector.getByRole("switch", { name: "circular" }).click();
  expect((await inputsOf(editor))["circular"]).toBe(true);

  await editor.open(one("pad"), "colours.json");
  await editor.choose("one");
  const colour = editor.inspector.getByRole("textbox", { name: "colour", exact: true });
  await colour.fill("#0d1");
  await editor.press("Enter");
  expect((await inputsOf(editor))["colour"]).toBe("#00dd11");

  await editor.open(one("attend_and_excite"), "tables.json");
  await editor.choose("one");
  await editor.inspector.getByRole("button", { name: "Add text to subjects" }).click();
  await editor.type("heart");
  await editor.press("Enter");
  await editor.inspector.getByRole("button", { name: "Add text to subjects" }).click();
  await editor.type("square");
  await editor.press("Tab");
  expect((await inputsOf(editor))["subjects"]).toEqual(["heart", "square"]);
  await editor.inspector.getByRole("button", { name: /^Move .* 2 of subjects/ }).focus();
  await editor.press("ArrowUp");
  await expect.poll(async () => (await inputsOf(editor))["subjects"]).toEqual(["square", "heart"]);
  await editor.inspector.getByRole("button", { name: /^Remove .* 1 of subjects$/ }).click();
  await expect.poll(async () => (await inputsOf(editor))["subjects"]).toEqual(["heart"]);
  const number = editor.inspector.getByRole("spinbutton", { name: "thresholds, 10" });
  await number.fill("0.6");
  await editor.press("Enter");
  await expect.poll(async () => (await inputsOf(editor))["thresholds"]).toEqual({ 0: 0.05, 10: 0.6, 20: 0.8 });
});

scenario("picks models, those of the right kind first, and goes back to the default", async (editor) => {
  await editor.open(one("load_controlnet"));
  await editor.choose("one");
  await editor.inspector.getByRole("button", { name: /^source/ }).click();
  const list = editor.page.getByRole("dialog", { name: "source" });
  await expect.poll(() => list.getByRole("option").first().textContent()).toContain("shapes-edges");
  await list.getByRole("option", { name: /shapes-edges/ }).click();
  expect(await inputsOf(editor)).toEqual({ source: "shapes-edges" });

  await editor.open(one("cfg", { scale: 2 }), "default.json");
  await editor.choose("one");
  await editor.inspector.getByRole("button", { name: "Reset scale" }).click();
  await expect.poll(() => inputsOf(editor)).toEqual({});
});

/** A PNG of one colour, 8 x 8, as a file. */
const PNG = Buffer.from("iVBORw0KGgoAAAANSUhEUgAAAAgAAAAICAIAAABLbSncAAAAEklEQVR4nGP4z8CAFWEXHbQSACj/P8Fu7N9hAAAAAElFTkSuQmCC", "base64");

scenario("takes a picture dropped on a field, and says why a file is refused", async (editor) => {
  await editor.open(one("load_image", { path: "" }));
  await editor.choose("one");
  const field = editor.inspector.getByRole("button", { name: /^path/ });
  await editor.drop([{ name: "red.png", mime: "image/png", bytes: PNG }], field);
  await expect.poll(async () => (await inputsOf(editor))["path"]).toMatch(/^sha256:[0-9a-f]{64}$/);
  await editor.inspector.getByRole("button", { name: /^path, red\.png/ }).waitFor();
  const before = await editor.documentText();
  editor.expectError(/41[0-9]|400|422/);
  await editor.choose("one");
  await editor.drop([{ name: "broken.png", mime: "image/png", bytes: "this is no picture" }], field);
  await editor.inspector.getByRole("alert").waitFor();
  expect((await editor.inspector.getByRole("alert").textContent())?.length).toBeGreaterThan(20);
  expect(await editor.documentText()).toBe(before);
});

scenario("paints a mask over the picture, saves it and uses it", async (editor) => {
  const document: Doc = {
    weft: 1,
    nodes: {
      mask: { type: "load_mask", inputs: { path: "" } },
      seen: { type: "mask_to_image", inputs: { mask: { link: "mask" } } },
      save: { type: "save_image", inputs: { image: { link: "seen" }, name: "mask" } },
    },
  };
  await editor.open(document);
  await editor.choose("mask");
  await editor.inspector.getByRole("button", { name: "Paint path" }).click();
  const painter = editor.page.getByRole("dialog", { name: /^Paint the mask/ });
  const canvas = painter.getByRole("img", { name: /^Mask, \d+ by \d+/ });
  await canvas.waitFor();
  const box = await canvas.boundingBox();
  if (!box) throw new Error("There is nothing to paint on.");
  await editor.drag({ x: box.x + 40, y: box.y + 40 }, { x: box.x + 160, y: box.y + 120 });
  await painter.getByRole("button", { name: "Undo" }).click();
  await painter.getByRole("button", { name: "Redo" }).click();
  await painter.getByRole("button", { name: "Take the mask" }).click();
  await painter.waitFor({ state: "detached" });
  await expect.poll(async () => (await inputsOf(editor, "mask"))["path"]).toMatch(/^sha256:[0-9a-f]{64}$/);
  expect(await editor.run()).toMatch(/^done/);
  await editor.card("save").getByRole("img").waitFor();
});

scenario("edits the inputs that several nodes share at once", async (editor) => {
  await editor.open({ weft: 1, nodes: { a: { type: "cfg", inputs: { scale: 2 } }, b: { type: "cfg", inputs: { scale: 3 } } }, ui: { a: { x: 0, y: 0 }, b: { x: 300, y: 0 } } });
  await editor.choose("a", "b");
  await editor.inspector.getByRole("heading", { name: "2 nodes" }).waitFor();
  const scale = editor.inspector.getByRole("spinbutton", { name: "scale", exact: true });
  await scale.fill("6");
  await editor.press("Enter");
  const { nodes } = await editor.document();
  expect([nodes["a"]?.inputs?.["scale"], nodes["b"]?.inputs?.["scale"]]).toEqual([6, 6]);
  await editor.focusCanvas();
  await editor.press("Control+z");
  await expect.poll(async () => (await inputsOf(editor, "a"))["scale"]).toBe(2);
  expect((await inputsOf(editor, "b"))["scale"]).toBe(3);
});
