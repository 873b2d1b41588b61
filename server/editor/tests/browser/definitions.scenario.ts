/** Definitions: made, entered, edited once for all uses, unpacked; and nothing is lost on the way. */
import { type Doc, expect, link, scenario, textToImage } from "./harness";

/** Two uses of one definition. */
const twice: Doc = {
  weft: 1,
  definitions: {
    picture: {
      inputs: { model: { type: "Model" }, text: { type: "str" }, seed: { default: 0 } },
      nodes: {
        prompt: { type: "encode_prompt", inputs: { model: link("inputs.model"), text: link("inputs.text") } },
        cfg: { type: "cfg", inputs: { prompt: link("prompt") } },
        denoise: { type: "denoise", inputs: { model: link("inputs.model"), guidance: [link("cfg")], steps: 2, seed: link("inputs.seed") } },
        decode: { type: "decode", inputs: { model: link("inputs.model"), latents: link("denoise.latents") } },
      },
      outputs: { image: { link: "decode", type: "Image" } },
    },
  },
  nodes: {
    model: { type: "load_model", inputs: { source: "shapes" } },
    red: { type: "picture", inputs: { model: link("model"), text: "a red circle" } },
    blue: { type: "picture", inputs: { model: link("model"), text: "a blue circle", seed: 3 } },
    grid: { type: "image_grid", inputs: { images: [link("red.image"), link("blue.image")], columns: 2 } },
    save: { type: "save_image", inputs: { image: link("grid"), name: "two" } },
  },
};

scenario("makes a definition of the chosen nodes, runs the same, unpacks it, and loses nothing", async (editor) => {
  await editor.open(textToImage({ seed: 21 }));
  expect(await editor.run()).toMatch(/^done/);
  await editor.choose("prompt", "cfg", "denoise");
  await editor.press("Control+g");
  await editor.card("part").waitFor();
  const made = await editor.document();
  expect(Object.keys(made.nodes).sort()).toEqual(["image", "model", "part", "save"]);
  expect(Object.keys(made.definitions?.["part"]?.nodes ?? {}).sort()).toEqual(["cfg", "denoise", "prompt"]);
  // The keys of what is inside are those of before: nothing has to run.
  await editor.page.getByRole("button", { name: /^Run nothing to do/ }).waitFor();
  await editor.choose("part");
  await editor.press("Control+Shift+g");
  await editor.card("denoise").waitFor();
  const { nodes } = await editor.document();
  expect(Object.keys(nodes).sort()).toEqual(["cfg", "denoise", "image", "model", "prompt", "save"]);
  expect(nodes["denoise"]?.inputs).toMatchObject({ steps: 2, seed: 21 });
  await editor.page.getByRole("button", { name: /^Run nothing to do/ }).waitFor();
});

scenario("enters a definition by keys and by breadcrumb, and one edit inside counts for all uses", async (editor) => {
  await editor.open(twice);
  await editor.choose("red");
  await editor.press("Alt+ArrowDown");
  await editor.card("decode").waitFor();
  const way = editor.page.getByRole("navigation", { name: "Way into the definition" });
  await way.getByText("red").waitFor();
  await editor.page.getByRole("group", { name: /^inputs of the definition, 3 inputs/ }).waitFor();
  await editor.choose("cfg");
  const scale = editor.inspector.getByRole("spinbutton", { name: "scale", exact: true });
  await scale.click();
  await scale.fill("4");
  await editor.press("Enter");
  await way.getByRole("button").first().click();
  await editor.card("blue").waitFor();
  expect((await editor.document()).definitions?.["picture"]?.nodes["cfg"]?.inputs).toEqual({ prompt: link("prompt"), scale: 4 });
  // The other use, by its button, shows it as well.
  await editor.page.getByRole("button", { name: "Open blue" }).click();
  await editor.choose("cfg");
  await expect.poll(() => editor.inspector.getByRole("spinbutton", { name: "scale", exact: true }).inputValue()).toMatch(/^4(\.0)?$/);
  await editor.focusCanvas();
  await editor.press("Alt+ArrowUp");
  await editor.card("grid").waitFor();
  expect(await editor.run()).toMatch(/^done/);
  await editor.card("save").getByRole("img").waitFor();
});

scenario("gives an input of the inside a name outside, renames and removes it", async (editor) => {
  await editor.open(twice);
  await editor.choose("red");
  await editor.press("Alt+ArrowDown");
  await editor.card("decode").waitFor();
  await editor.page.getByRole("button", { name: "Add an input" }).click();
  await editor.page.getByRole("menu", { name: "picture takes" }).getByRole("menuitem", { name: /denoise\.steps/ }).click();
  await expect.poll(async () => (await editor.document()).definitions?.["picture"]?.inputs?.["steps"]).toBeDefined();
  const exposed = await editor.document();
  expect(exposed.definitions?.["picture"]?.nodes["denoise"]?.inputs?.["steps"]).toEqual(link("inputs.steps"));
  const card = editor.page.getByRole("group", { name: /^inputs of the definition/ });
  await card.getByRole("button", { name: "steps", exact: true }).dblclick();
  await card.getByRole("textbox", { name: "Name of steps" }).fill("how_many");
  await editor.press("Enter");
  await expect.poll(async () => (await editor.document()).definitions?.["picture"]?.nodes["denoise"]?.inputs?.["steps"]).toEqual(link("inputs.how_many"));
  await editor.focusCanvas();
  await editor.press("Alt+ArrowUp");
  await editor.choose("blue");
  await editor.inspector.getByRole("spinbutton", { name: "how_many" }).waitFor();
  await editor.press("Control+z", "Control+z");
  await expect.poll(async () => (await editor.document()).definitions?.["picture"]?.nodes["denoise"]?.inputs?.["steps"]).toBe(2);
});

scenario("shows what goes on inside a use on its card, and names inner nodes when they fail the check", async (editor) => {
  const broken = structuredClone(twice);
  const cfg = broken.definitions?.["picture"]?.nodes["cfg"];
  if (cfg?.inputs) cfg.inputs["scale"] = "high";
  await editor.open(broken);
  await editor.page.getByRole("button", { name: /problem/ }).first().waitFor();
  await editor.page.getByRole("article", { name: /^red,.*problem/ }).waitFor();
  await editor.choose("red");
  await editor.press("Alt+ArrowDown");
  await editor.page.getByRole("article", { name: /^cfg,.*problem/ }).waitFor();
  await editor.choose("cfg");
  await editor.inspector.getByRole("spinbutton", { name: "scale", exact: true }).or(editor.inspector.getByLabel("scale", { exact: true })).first().waitFor();
});
