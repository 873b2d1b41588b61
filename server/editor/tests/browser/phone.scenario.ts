/** On a phone, and in the app view: parameters, a run, its result, the queue, the outline. */
import { type Editor, expect, scenario, textToImage } from "./harness";
import { ask, newSeed } from "./harness/watch";

const withParameters = () => ({
  ...textToImage({ seed: newSeed(), steps: 1 }),
  meta: { title: "On the phone", description: "One circle." },
  parameters: { words: { input: "prompt.text" }, seed: { input: "denoise.seed" }, scale: { input: "cfg.scale" } },
});

/** Names of what can be pressed and is smaller than a thumb; and whether the page scrolls sideways. */
async function tooSmall(editor: Editor): Promise<string[]> {
  return editor.page.evaluate(() => {
    const small: string[] = [];
    for (const target of document.querySelectorAll<HTMLElement>("button, a[href], input:not([type=hidden]), select, textarea, [role=tab], [role=switch]")) {
      if (target.closest("[aria-hidden=true], .sr-only") || !target.checkVisibility()) continue;
      const around = target instanceof HTMLInputElement && (target.type === "checkbox" || target.type === "radio") ? (target.closest("label") ?? target) : target;
      const { width, height } = around.getBoundingClientRect();
      if (width === 0 || height === 0) continue;
      // A field inside a frame is pressed by its frame.
      const frame = target.closest(".field, .text, .number")?.getBoundingClientRect();
      if (Math.max(height, frame?.height ?? 0) < 43.5 || Math.max(width, frame?.width ?? 0) < 43.5) small.push(`${target.tagName} ${target.getAttribute("aria-label") ?? target.textContent?.slice(0, 30)} ${Math.round(width)}x${Math.round(height)}`);
    }
    if (document.documentElement.scrollWidth > innerWidth) small.push("the page scrolls sideways");
    return small;
  });
}

const PHONE = { viewport: { width: 390, height: 844 }, hasTouch: true, isMobile: true };

scenario("the phone: change a parameter, run, see the result, the queue and the outline", async (editor) => {
  await editor.page.getByRole("button", { name: "Empty workflow" }).waitFor();
  await editor.drop([{ name: "phone.json", mime: "application/json", bytes: JSON.stringify(withParameters()) }]);
  const tab = (name: string) => editor.page.getByRole("tab", { name, exact: true });
  await tab("Parameters").waitFor();
  await editor.page.getByRole("textbox", { name: "words" }).fill("a blue square");
  const wrong: Record<string, string[]> = { parameters: await tooSmall(editor) };
  await editor.run(() => editor.page.getByRole("button", { name: /^Run/ }).click());
  await tab("Result").tap();
  await editor.page.getByRole("img", { name: /Result of run/ }).waitFor();
  wrong["result"] = await tooSmall(editor);
  await tab("Queue").tap();
  await editor.page.getByText(/On the phone/).first().waitFor();
  wrong["queue"] = await tooSmall(editor);
  await tab("Outline").tap();
  await editor.outline.waitFor();
  wrong["outline"] = await tooSmall(editor);
  expect(Object.fromEntries(Object.entries(wrong).filter(([, list]) => list.length > 0))).toEqual({});
}, PHONE);

scenario("the app view by its link: a parameter changes the run, the seed before comes back", async (editor) => {
  const name = `app ${newSeed()}`;
  const document = withParameters();
  await ask(editor, `workflows/${encodeURIComponent(name)}`, document, "PUT");
  await editor.goto(`/app/${encodeURIComponent(name)}`);
  await editor.page.getByRole("heading", { name: "On the phone" }).waitFor();
  expect(await editor.canvas.count()).toBe(0);
  await editor.run();
  const first = await editor.page.getByRole("img", { name: /Result of run/ }).first().getAttribute("src");
  const scale = editor.page.getByRole("spinbutton", { name: "scale" });
  await scale.fill("2");
  await scale.press("Enter");
  await editor.run();
  await expect.poll(() => editor.page.getByRole("img", { name: /Result of run/ }).first().getAttribute("src")).not.toBe(first);
  const seed = editor.page.getByRole("spinbutton", { name: "seed" });
  const before = await seed.inputValue();
  await editor.command("Draw a seed");
  await expect.poll(() => seed.inputValue()).not.toBe(before);
  await editor.run();
  await editor.command("The seed before");
  await expect.poll(() => seed.inputValue()).toBe(before);
  await editor.command("Copy the workflow as Python");
  await editor.hear(/Python program is on the clipboard/);
  expect(await editor.page.evaluate(() => navigator.clipboard.readText())).toMatch(/import/);
});
