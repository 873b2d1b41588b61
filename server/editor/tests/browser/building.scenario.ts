/** Workflows are built: by keys alone, by mouse, through the palette. */
import { expect, type Editor, link, scenario, textToImage, type Doc } from "./harness";

/** Adds a node through the palette that is open. */
async function addByKeys(editor: Editor, type: string): Promise<void> {
  const field = editor.page.getByRole("combobox", { name: /^Add a node/ });
  await field.waitFor();
  await editor.type(type);
  await editor.page.getByRole("option", { name: new RegExp(`^${type}\\b`), selected: true }).waitFor();
  await editor.press("Enter");
  await field.waitFor({ state: "detached" });
}

/** Links the node in focus by its numbered list. */
async function linkByKeys(editor: Editor, label: string): Promise<void> {
  await editor.press("l");
  const item = editor.page.getByRole("menu", { name: /^Link / }).getByRole("menuitem", { name: label });
  await item.first().waitFor();
  const number = (await item.first().locator("kbd").textContent())?.trim() ?? "";
  await editor.press(number);
  await item.first().waitFor({ state: "detached" });
}

scenario("builds text to image from an empty page by keyboard alone and runs it to a picture", async (editor) => {
  const { page } = editor;
  await page.getByRole("button", { name: "Empty workflow" }).focus();
  await editor.press("Enter");
  await page.getByRole("group", { name: /: 0 nodes$/ }).waitFor();
  // F6 until the keys are on the canvas.
  for (let tries = 0; tries < 8 && !(await editor.canvas.evaluate((element) => element === document.activeElement)); tries += 1) await editor.press("F6");
  const chain = ["load_model", "encode_prompt", "cfg", "denoise", "decode", "save_image"] as const;
  const links: Record<string, string[]> = {
    encode_prompt: ["load_model.model"],
    cfg: ["encode_prompt.conditioning"],
    denoise: ["load_model.model", "cfg.guidance"],
    decode: ["load_model.model", "denoise.latents"],
    save_image: ["decode.image"],
  };
  for (const type of chain) {
    await editor.press("a");
    await addByKeys(editor, type);
    await expect.poll(() => editor.card(type).evaluate((element) => element === document.activeElement)).toBe(true);
    for (const from of links[type] ?? []) await linkByKeys(editor, from);
  }
  const isFocused = (of: ReturnType<Editor["card"]>): Promise<boolean> => of.evaluate((element) => element === document.activeElement);
  const fill = async (node: string, input: string, text: string): Promise<void> => {
    for (let tries = 0; tries < 30 && !(await isFocused(editor.card(node))); tries += 1) await editor.press("Shift+Tab");
    // Enter goes to the first field in the inspector.
    await editor.press("Enter");
    const field = editor.inspector.getByLabel(new RegExp(`^${input}\\b`)).first();
    await expect.poll(() => editor.inspector.evaluate((element) => element.contains(document.activeElement))).toBe(true);
    for (let tries = 0; tries < 30 && !(await isFocused(field)); tries += 1) await editor.press("Tab");
    if ((await field.getAttribute("aria-haspopup")) === "dialog") {
      await editor.press("Enter");
      await page.getByRole("dialog", { name: input }).waitFor();
      await editor.type(text);
      await editor.press("Enter");
      await page.getByRole("dialog", { name: input }).waitFor({ state: "detached" });
    } else {
      await editor.press("Control+a");
      await editor.type(text);
      await editor.press("Enter");
    }
    await editor.press("Escape");
    await expect.poll(() => isFocused(editor.card(node))).toBe(true);
  };
  await fill("save_image", "name", "square");
  await fill("denoise", "steps", "3");
  await fill("encode_prompt", "text", "a green square");
  await fill("load_model", "source", "shapes");
  expect(await editor.run()).toMatch(/^done, /);
  await editor.card("save_image").getByRole("img").waitFor();
  const { nodes } = await editor.document();
  expect(nodes["denoise"]?.inputs).toMatchObject({ model: link("load_model.model"), guidance: [link("cfg.guidance")], steps: 3 });
  expect(nodes["decode"]?.inputs).toEqual({ model: link("load_model.model"), latents: link("denoise.latents") });
  expect(nodes["save_image"]?.inputs).toEqual({ image: link("decode.image"), name: "square" });
  expect(nodes["encode_prompt"]?.inputs?.["text"]).toBe("a green square");
}, { timeout: 60_000 });

/** Everything that SEGA, a learned word and a ControlNet need, with no wire between them. */
function unwired(): Doc {
  const at = (x: number, y: number) => ({ x, y });
  return {
    weft: 1,
    nodes: {
      model: { type: "load_model", inputs: { source: "shapes" } },
      word: { type: "load_textual_inversion", inputs: { model: link("model"), sources: ["shapes-dome"] } },
      net: { type: "load_controlnet", inputs: { source: "shapes-edges" } },
      picture: { type: "load_image", inputs: { path: "" } },
      edges: { type: "canny", inputs: {} },
      control: { type: "controlnet", inputs: {} },
      prompt: { type: "encode_prompt", inputs: { text: "a large blue <dome>" } },
      concept: { type: "encode_prompt", inputs: { text: "red" } },
      cfg: { type: "cfg", inputs: { scale: 3 } },
      sega: { type: "sega", inputs: { warmup: 0 } },
      denoise: { type: "denoise", inputs: { steps: 2, seed: 3 } },
      image: { type: "decode", inputs: {} },
      save: { type: "save_image", inputs: { name: "dome" } },
    },
    ui: {
      model: at(0, 0), word: at(0, 130), net: at(0, 300), picture: at(0, 420), edges: at(240, 420), control: at(480, 300),
      prompt: at(240, 0), concept: at(240, 160), cfg: at(480, 0), sega: at(480, 120), denoise: at(720, 0), image: at(960, 0), save: at(960, 160),
    },
  };
}

scenario("wires SEGA, textual inversion and ControlNet together by mouse and runs them", async (editor) => {
  // The ControlNet's picture is one that a run made.
  const { url } = editor;
  const made = textToImage({ seed: 11, steps: 2 });
  const job = (await (await fetch(`${url}/api/v1/jobs`, { method: "POST", headers: { "Content-Type": "application/json", Prefer: "wait=30" }, body: JSON.stringify({ workflow: made }) })).json()) as { outputs: { file?: string }[] };
  const file = job.outputs.find((output) => output.file)?.file;
  const document = unwired();
  const picture = document.nodes["picture"];
  if (picture) picture.inputs = { path: file };
  await editor.open(document);
  await editor.focusCanvas();
  await editor.press("Shift+F");
  const wires = [
    ["word>model", "prompt.model"], ["word>model", "concept.model"], ["word>model", "denoise.model"], ["word>model", "image.model"],
    ["prompt>conditioning", "cfg.prompt"], ["concept>conditioning", "sega.concept"], ["cfg>guidance", "denoise.guidance"], ["sega>guidance", "denoise.guidance.0"],
    ["picture>image", "edges.image"], ["net>controlnet", "control.net"], ["edges>image", "control.hint"], ["control>control", "denoise.controls"],
    ["denoise>latents", "image.latents"], ["image>image", "save.image"],
  ] as const;
  for (const [from, to] of wires) {
    await editor.wire(from, to);
    const [node = "", input = ""] = to.split(".");
    await expect.poll(async () => (await editor.said()).at(-1)).toBe(`${from.split(">")[0] ?? ""} linked to ${node}.${input}`);
  }
  const { nodes } = await editor.document();
  expect(nodes["denoise"]?.inputs).toMatchObject({ model: link("word.model"), guidance: [link("cfg.guidance"), link("sega.guidance")], controls: [link("control.control")] });
  expect(nodes["control"]?.inputs).toEqual({ net: link("net.controlnet"), hint: link("edges.image") });
  expect(nodes["sega"]?.inputs).toMatchObject({ concept: link("concept.conditioning") });
  expect(await editor.run()).toMatch(/^done, /);
  await editor.card("save").getByRole("img").waitFor();
}, { timeout: 60_000 });

scenario("opens the palette by double-click, adds where it was called, and finds by letters in order", async (editor) => {
  await editor.empty();
  const box = await editor.pane.boundingBox();
  await editor.page.mouse.dblclick((box?.x ?? 0) + 300, (box?.y ?? 0) + 200);
  const field = editor.page.getByRole("combobox", { name: "Add a node" });
  await field.waitFor();
  await editor.type("svimg");
  await expect.poll(() => editor.page.getByRole("option").first().textContent()).toMatch(/^save_image/);
  await editor.press("Enter");
  await editor.card("save_image").waitFor();
  const at = await editor.card("save_image").boundingBox();
  expect(Math.abs((at?.x ?? 0) - (box?.x ?? 0) - 300)).toBeLessThan(20);
  // What no type has.
  await editor.press("a");
  await editor.type("zzzz");
  await editor.page.getByText("No node matches “zzzz”.").waitFor();
  await editor.press("Escape");
  await field.waitFor({ state: "detached" });
  expect(Object.keys((await editor.document()).nodes)).toEqual(["save_image"]);
});

scenario("stays open with Shift+Enter to add several, each its own step back", async (editor) => {
  await editor.empty();
  await editor.focusCanvas();
  await editor.press("a");
  await editor.type("integer");
  await editor.page.getByRole("option", { name: /^integer/, selected: true }).waitFor();
  await editor.press("Shift+Enter", "Shift+Enter");
  await editor.card("integer_2").waitFor();
  await editor.press("Escape");
  expect(Object.keys((await editor.document()).nodes)).toEqual(["integer", "integer_2"]);
  await editor.focusCanvas();
  await editor.press("Control+z");
  await editor.card("integer_2").waitFor({ state: "detached" });
  await editor.press("Control+z");
  expect(Object.keys((await editor.document()).nodes)).toEqual([]);
});

scenario("offers only what fits when a wire is dropped on the empty canvas, the best input first", async (editor) => {
  await editor.open({ weft: 1, nodes: { picture: { type: "load_image", inputs: { path: "a.png" } } }, ui: { picture: { x: 0, y: 0 } } });
  const port = await editor.middle(editor.port("picture>image"));
  await editor.drag(editor.port("picture>image"), { x: port.x + 160, y: port.y + 140 });
  const field = editor.page.getByRole("combobox", { name: "Add a node that takes Image" });
  await field.waitFor();
  const group = editor.page.getByRole("group", { name: "Takes Image" });
  await group.getByRole("option", { name: /^save_image/ }).waitFor();
  expect(await editor.page.getByRole("option", { name: /^(cfg|load_model|denoise)\b/ }).count()).toBe(0);
  await editor.type("composite");
  await editor.page.getByRole("option", { name: /^composite/, selected: true }).waitFor();
  // Its other input that fits.
  await editor.press("ArrowRight", "ArrowDown", "Enter");
  await editor.card("composite").waitFor();
  expect((await editor.document()).nodes["composite"]?.inputs).toEqual({ top: link("picture.image") });
  // The node and its wire are one act.
  await editor.focusCanvas();
  await editor.press("Control+z");
  await editor.card("composite").waitFor({ state: "detached" });
});

scenario("offers what makes the kind of data when a wire is dragged from an input", async (editor) => {
  await editor.open({ weft: 1, nodes: { cfg: { type: "cfg", inputs: {} } }, ui: { cfg: { x: 400, y: 100 } } });
  const port = await editor.middle(editor.port("cfg.prompt"));
  await editor.drag(editor.port("cfg.prompt"), { x: port.x - 150, y: port.y + 200 });
  await editor.page.getByRole("combobox", { name: "Add a node that makes Conditioning" }).waitFor();
  await editor.page.getByRole("option", { name: /^encode_prompt/ }).click();
  await editor.card("encode_prompt").waitFor();
  expect((await editor.document()).nodes["cfg"]?.inputs).toEqual({ prompt: link("encode_prompt.conditioning") });
});

scenario("says why a wire is refused and changes nothing", async (editor) => {
  await editor.open(textToImage());
  const before = await editor.documentText();
  await editor.drag(editor.port("prompt>conditioning"), editor.port("image.latents"), false);
  const reason = editor.page.getByText(/Conditioning/).filter({ hasText: /Latents/ });
  await reason.first().waitFor();
  await editor.page.mouse.up();
  await editor.hear(/Latents/);
  expect(await editor.documentText()).toBe(before);
  await editor.focusCanvas();
  await editor.press("Control+z");
  expect(await editor.documentText()).toBe(before);
});

scenario("takes a wire dropped on a card to its only input that fits", async (editor) => {
  await editor.open({
    weft: 1,
    nodes: { prompt: { type: "encode_prompt", inputs: { text: "x" } }, sega: { type: "sega", inputs: {} } },
    ui: { prompt: { x: 0, y: 0 }, sega: { x: 400, y: 0 } },
  });
  await editor.drag(editor.port("prompt>conditioning"), editor.card("sega").locator(".card__type, .card__name").first());
  await expect.poll(async () => (await editor.document()).nodes["sega"]?.inputs).toEqual({ concept: link("prompt.conditioning") });
});
