/** Pictures of every view in both themes, at a desk and on a phone: `SHOTS_TO=folder npm run shots`. */
import { mkdirSync } from "node:fs";
import { type Doc, type Editor, link, scenario, textToImage } from "./harness";
import { ask, longRun, newSeed } from "./harness/watch";

const FOLDER = process.env["SHOTS_TO"] ?? "shots";
mkdirSync(FOLDER, { recursive: true });

/** Nodes of a large graph: rows of text to image, from one model. */
function large(rows: number): Doc {
  const nodes: Doc["nodes"] = { model: { type: "load_model", inputs: { source: "shapes" } } };
  for (let row = 0; row < rows; row += 1) {
    const { prompt, cfg, denoise, image } = textToImage({ seed: row }).nodes;
    if (!prompt || !cfg || !denoise || !image) continue;
    Object.assign(nodes, {
      [`prompt_${row}`]: prompt,
      [`cfg_${row}`]: { ...cfg, inputs: { prompt: link(`prompt_${row}`) } },
      [`denoise_${row}`]: { ...denoise, inputs: { ...denoise.inputs, guidance: [link(`cfg_${row}`)] } },
      [`image_${row}`]: { ...image, inputs: { model: link("model"), latents: link(`denoise_${row}.latents`) } },
    });
  }
  nodes["save"] = { type: "save_image", inputs: { image: link("image_0"), name: "large" } };
  return { weft: 1, nodes };
}

function wrong(): Doc {
  const document = textToImage();
  const { cfg, denoise, save } = document.nodes;
  if (cfg?.inputs) cfg.inputs["scale"] = 1e9;
  if (denoise?.inputs) Object.assign(denoise.inputs, { scheduler: "ddin", etta: 0.5 });
  if (save?.inputs) save.inputs["image"] = link("sharp.result");
  document.nodes["sharp"] = { type: "acme_sharpen", inputs: { image: link("image"), amount: 0.125 } };
  document.nodes["again"] = { type: "decode", inputs: { model: link("model") } };
  return document;
}

const parameters = { words: { input: "prompt.text" }, seed: { input: "denoise.seed" }, scale: { input: "cfg.scale" }, steps: { input: "denoise.steps" } };

for (const scheme of ["dark", "light"] as const) {
  const OPTIONS = { colorScheme: scheme, timeout: 120_000 };
  const shotOf = (editor: Editor) => async (name: string) => {
    await editor.page.waitForTimeout(150);
    await editor.page.screenshot({ path: `${FOLDER}/${name}-${scheme}.png` });
  };
  /** A picture that cannot be taken is told and does not end the others. */
  const take = async (name: string, work: () => Promise<void>) => {
    await work().catch((error: unknown) => console.error(`${name}: ${String(error).slice(0, 300)}`));
  };
  const phone = async (editor: Editor, name: string) => {
    await editor.page.setViewportSize({ width: 390, height: 844 });
    for (const tab of await editor.page.getByRole("tablist", { name: "Views" }).getByRole("tab").all()) {
      await tab.click();
      if ((await tab.innerText()).trim() === "Outline") for (const twist of [1, 3]) await editor.outline.locator(".twist").nth(twist).click();
      await shotOf(editor)(`phone-${name}${(await tab.innerText()).trim().toLowerCase()}`);
    }
  };

  scenario(`first run and a run, ${scheme}`, async (editor) => {
    const shot = shotOf(editor);
    await editor.page.locator(".example").nth(5).waitFor();
    await editor.page.waitForLoadState("networkidle");
    await shot("first-run");
    await editor.page.setViewportSize({ width: 390, height: 844 });
    await shot("phone-first-run");
    await editor.page.setViewportSize({ width: 1440, height: 900 });
    await editor.page.locator(".example").nth(1).click();
    await editor.cards().first().waitFor();
    await shot("before-a-run");
    await editor.choose("draw");
    await shot("chosen");
    await editor.command("Draw a seed");
    await editor.page.waitForTimeout(600);
    await shot("ready");
    await editor.run();
    await editor.page.waitForTimeout(600);
    await shot("after-a-run");
    const scale = editor.card("more_star").getByRole("spinbutton", { name: "scale" });
    await scale.fill(String(5 + newSeed() / 1e4));
    await scale.press("Enter");
    await editor.page.waitForTimeout(800);
    await shot("changed");
    await editor.run();
    for (const list of ["Right panels", "Bottom panels"]) {
      for (const tab of await editor.page.getByRole("tablist", { name: list }).getByRole("tab").all()) {
        await tab.click();
        await editor.page.waitForTimeout(300);
        await shot(`panel-${(await tab.getAttribute("id"))?.replace("panel-tab-", "") ?? ""}`);
      }
    }
    await take("compare", async () => {
      await editor.page.getByRole("tab", { name: "Gallery" }).click();
      const pictures = editor.page.getByRole("list", { name: /Pictures, the newest/ }).getByRole("button");
      for (const [at, side] of [[0, "B"], [1, "A"]] as const) {
        await pictures.nth(at).click();
        await editor.page.getByRole("button", { name: side, exact: true }).click();
      }
      await editor.page.waitForTimeout(500);
      await shot("compare");
    });
    for (const [at, name] of ["add", "outline", "files", "examples"].entries()) {
      await take(name, async () => {
        await editor.panel(String(at + 1));
        await editor.page.waitForTimeout(500);
        if (name === "outline") for (const twist of [7, 4]) await editor.outline.locator(".twist").nth(twist).click();
        await shot(`left-${name}`);
      });
    }
    await editor.panel("4");
    for (const [name, command] of [["keys", "Keys"], ["settings", "Settings of this browser"], ["open", "Open"], ["save-as", "Save as"], ["text", "The workflow as JSON or Python"], ["sweep", "Run with"], ["help", "Help of what is in focus"]] as const) {
      await take(name, async () => {
        if (name === "help") await editor.choose("draw");
        await editor.command(command);
        await editor.page.getByRole("dialog").waitFor();
        await editor.page.waitForTimeout(400);
        await shot(`dialog-${name}`);
      });
      await editor.press("Escape");
    }
    await take("palette", async () => {
      await editor.focusCanvas();
      await editor.press("a");
      await editor.type("sg");
      await editor.page.waitForTimeout(200);
      await shot("palette");
      await editor.press("Escape");
    });
    await take("menus", async () => {
      await editor.card("draw").locator("header").click({ button: "right" });
      await shot("menu-card");
      await editor.press("Escape");
      await editor.page.locator(".brand").click();
      await shot("menu-brand");
      await editor.press("Escape");
      await editor.press("Control+k");
      await shot("commands");
      await editor.press("Escape");
    });
    await editor.page.getByRole("radio", { name: "App" }).click();
    await editor.page.waitForTimeout(500);
    await shot("app");
    await phone(editor, "");
  }, OPTIONS);

  scenario(`problems, a definition, a large graph, ${scheme}`, async (editor) => {
    const shot = shotOf(editor);
    await editor.open(wrong(), "wrong.json");
    await editor.page.getByRole("article", { name: /^cfg,.*problem/ }).waitFor();
    await editor.panel("8");
    await editor.choose("denoise");
    await shot("problems");
    await editor.page.setViewportSize({ width: 390, height: 844 });
    await shot("phone-problems");
    await editor.page.setViewportSize({ width: 1440, height: 900 });
    await editor.panel("8");
    await take("definition", async () => {
      await editor.open(textToImage({ text: "a green star on a navy background" }), "inside.json");
      await editor.choose("prompt", "cfg", "denoise");
      await editor.press("Control+g");
      await editor.page.waitForTimeout(800);
      await shot("defined");
      await editor.press("Alt+ArrowDown");
      await editor.page.waitForTimeout(800);
      await shot("inside");
    });
    await take("far", async () => {
      await editor.drop([{ name: "large.json", mime: "application/json", bytes: JSON.stringify(large(143)) }]);
      await editor.page.getByRole("group", { name: /: 574 nodes$/ }).waitFor();
      await editor.focusCanvas();
      await editor.press("Shift+F");
      await editor.page.waitForTimeout(1500);
      await shot("far");
    });
  }, OPTIONS);

  scenario(`a run in progress, the queue, ${scheme}`, async (editor) => {
    const shot = shotOf(editor);
    await editor.open({ ...longRun(300), meta: { title: "A long run", description: "Three hundred steps." }, parameters }, "long.json");
    await editor.panel("9");
    await editor.page.getByRole("tab", { name: "Runs" }).click();
    await editor.page.waitForTimeout(500);
    await editor.runButton.click();
    await editor.page.getByRole("article", { name: /^denoise, step \d\d/ }).waitFor({ timeout: 20_000 });
    for (let more = 0; more < 2; more += 1) {
      await editor.command("Draw a seed");
      await editor.page.waitForTimeout(300);
      await editor.press("Control+Enter");
      await editor.page.waitForTimeout(300);
    }
    await shot("running");
    await phone(editor, "running-");
    for (const { id, state } of (await ask<{ jobs: { id: string; state: string }[] }>(editor, "jobs?limit=100")).jobs) {
      if (state === "queued" || state === "running") await ask(editor, `jobs/${id}/cancel`, {}).catch(() => undefined);
    }
  }, OPTIONS);

  scenario(`saved by someone else, the server lost, ${scheme}`, async (editor) => {
    const shot = shotOf(editor);
    const name = `shared ${newSeed()} ${scheme}`;
    const document = { ...textToImage(), meta: { title: "Shared" }, parameters };
    await ask(editor, `workflows/${encodeURIComponent(name)}`, document, "PUT");
    await editor.goto(`/app/${encodeURIComponent(name)}`);
    await editor.page.getByRole("radio", { name: "Graph" }).click();
    await editor.card("cfg").waitFor();
    const scale = editor.card("cfg").getByRole("spinbutton", { name: "scale" });
    await scale.fill("2.5");
    await scale.press("Enter");
    const etag = (await fetch(`${editor.url}/api/v1/workflows/${encodeURIComponent(name)}`)).headers.get("etag");
    await ask(editor, `workflows/${encodeURIComponent(name)}`, { ...document, meta: { title: "Theirs" } }, "PUT", etag ? { "If-Match": etag } : {}).catch((error: unknown) => console.error(String(error)));
    await editor.press("Control+s");
    await editor.page.waitForTimeout(800);
    await shot("conflict-notice");
    await take("conflict", async () => {
      await editor.page.getByRole("button", { name: "What differs" }).click();
      await editor.page.getByRole("dialog").waitFor();
      await editor.page.waitForTimeout(400);
      await shot("dialog-conflict");
      await editor.press("Escape");
    });
    await editor.context.setOffline(true);
    await editor.page.route("**/api/**", (route) => route.abort());
    await editor.page.waitForTimeout(1500);
    await shot("offline");
  }, { ...OPTIONS, errors: [/./] });
}
