/** Problems are told where they are, all at once, before anything runs; what a workflow needs and this server lacks is kept. */
import { type Doc, expect, link, scenario, textToImage } from "./harness";

scenario("marks problems on node, field and list before a run, and ends them by their buttons", async (editor) => {
  const document = textToImage();
  const { cfg, denoise } = document.nodes;
  if (cfg?.inputs) cfg.inputs["scale"] = 1e9;
  if (denoise?.inputs) Object.assign(denoise.inputs, { scheduler: "ddin", stepz: 4, etta: 0.5 });
  const posts = editor.countRequests(/^POST \/api\/v1\/jobs$/);
  await editor.open(document);
  const count = editor.page.getByRole("button", { name: /^\d+ problems$/ });
  await count.waitFor();
  await editor.page.getByRole("article", { name: /^cfg,.*1 problem/ }).waitFor();
  await editor.panel("8");
  const list = editor.page.getByRole("list", { name: "Problems" });
  await list.getByText("not_a_choice").waitFor();
  await list.getByText("out_of_range").waitFor();
  // F8 goes from one to the next and chooses its node.
  await editor.focusCanvas();
  await editor.press("F8");
  await expect.poll(() => editor.inspector.getByRole("textbox", { name: "Name of the node" }).inputValue()).toMatch(/^(cfg|denoise)$/);
  const first = await editor.inspector.getByRole("textbox", { name: "Name of the node" }).inputValue();
  for (let tries = 0; tries < 3; tries += 1) await editor.press("F8");
  expect(first.length).toBeGreaterThan(0);
  // By the list, by the field.
  await list.getByRole("button", { name: "ddim" }).click();
  await expect.poll(async () => (await editor.document()).nodes["denoise"]?.inputs?.["scheduler"]).toBe("ddim");
  await editor.choose("cfg");
  const scale = editor.inspector.getByRole("spinbutton", { name: "scale", exact: true });
  expect(await scale.getAttribute("aria-invalid")).toBe("true");
  await editor.inspector.getByRole("button", { name: "100", exact: true }).click();
  await expect.poll(async () => (await editor.document()).nodes["cfg"]?.inputs?.["scale"]).toBeLessThan(1e9);
  await editor.choose("denoise");
  await editor.inspector.getByRole("button", { name: "Rename to eta" }).click();
  await expect.poll(async () => (await editor.document()).nodes["denoise"]?.inputs?.["eta"]).toBe(0.5);
  // There are steps already: nothing is written over them.
  expect(await editor.inspector.getByRole("button", { name: "Rename to steps" }).count()).toBe(0);
  await editor.inspector.getByRole("button", { name: "Remove", exact: true }).click();
  await expect.poll(async () => Object.keys((await editor.document()).nodes["denoise"]?.inputs ?? {}).sort()).toEqual(["eta", "guidance", "model", "scheduler", "seed", "steps"]);
  await editor.page.getByRole("button", { name: /problem/ }).first().waitFor({ state: "detached" });
  expect(posts.count).toBe(0);
});

scenario("links a needed input from the card of the problem", async (editor) => {
  const document = textToImage();
  if (document.nodes["image"]) document.nodes["image"].inputs = { model: link("model") };
  await editor.open(document);
  await editor.card("image").getByRole("button", { name: "Link" }).click();
  await editor.page.getByRole("menu", { name: "image.latents from" }).getByRole("menuitem", { name: /denoise\.latents/ }).click();
  await expect.poll(async () => (await editor.document()).nodes["image"]?.inputs?.["latents"]).toEqual(link("denoise.latents"));
  await editor.page.getByRole("article", { name: /^image,.*(will run|from)/ }).waitFor();
});

scenario("keeps a node of a type that is not installed, with all its data, through edits and a save", async (editor) => {
  const strange = {
    type: "acme_sharpen", version: 7, inputs: { image: link("image"), amount: 0.125, mode: { deep: [1, null, { value: "x" }] } }, acme: { note: "kept" },
  };
  const document: Doc = { ...textToImage(), acme_top: [1, 2] } as Doc;
  document.nodes["sharp"] = strange;
  if (document.nodes["save"]) document.nodes["save"].inputs = { image: link("sharp.result"), name: "sharp" };
  await editor.open(document);
  await editor.page.getByRole("article", { name: /^sharp,.*not installed/ }).waitFor();
  await editor.choose("sharp");
  await editor.inspector.getByText("This node type is not installed.").waitFor();
  await editor.choose("image");
  await editor.press("F2");
  await editor.page.getByRole("textbox", { name: "Name of the node" }).first().fill("picture");
  await editor.press("Enter");
  await editor.card("picture").waitFor();
  await editor.press("Control+s");
  const name = editor.page.getByRole("textbox", { name: "Name", exact: true });
  await name.fill("strange");
  await editor.press("Enter");
  await expect.poll(async () => (await fetch(`${editor.url}/api/v1/workflows/strange`)).status).toBe(200);
  const saved = (await (await fetch(`${editor.url}/api/v1/workflows/strange`)).json()) as Doc & { acme_top?: unknown };
  expect(saved.nodes["sharp"]).toEqual({ ...strange, inputs: { ...strange.inputs, image: link("picture") } });
  expect(saved.acme_top).toEqual([1, 2]);
  expect(saved.nodes["save"]?.inputs?.["image"]).toEqual(link("sharp.result"));
  // The page is opened again: it is all there.
  await editor.page.reload();
  await editor.page.getByRole("article", { name: /^sharp,.*not installed/ }).waitFor();
});

scenario("shows the help of a node by F1, and of a type in the palette", async (editor) => {
  await editor.open(textToImage());
  await editor.choose("denoise");
  await editor.press("F1");
  const help = editor.page.getByRole("dialog", { name: "denoise" });
  await help.waitFor();
  await help.getByText("guidance", { exact: true }).first().waitFor();
  await editor.press("Escape");
  await help.waitFor({ state: "hidden" });
  await editor.focusCanvas();
  await editor.press("a");
  await editor.type("sega");
  await editor.page.getByRole("option", { name: /^sega/, selected: true }).waitFor();
  await editor.press("F1");
  await editor.page.getByRole("dialog", { name: "sega" }).getByText("concept", { exact: true }).first().waitFor();
});
