/** The first page, settings, and keys: all of it without a pointer. */
import { expect, scenario, textToImage } from "./harness";

scenario("first run: examples stand there, and open as copies", async (editor) => {
  const examples = editor.page.locator(".example");
  await expect.poll(() => examples.count()).toBe(6);
  await examples.first().focus();
  await editor.press("Enter");
  await editor.cards().first().waitFor();
  expect(await editor.tabs.count()).toBe(1);
  expect(await editor.tabs.first().getAttribute("aria-label")).toMatch(/unsaved/);
});

scenario("the theme is switched, and remembered", async (editor) => {
  const colour = () => editor.page.evaluate(() => getComputedStyle(document.body).backgroundColor);
  const dark = await colour();
  await editor.command("Light or dark");
  await expect.poll(colour).not.toBe(dark);
  const light = await colour();
  await editor.page.reload();
  await expect.poll(colour).toBe(light);
});

scenario("a command gets another key, and single keys are turned off", async (editor) => {
  await editor.open(textToImage({ seed: 1 }), "keyed.json");
  await editor.command("Keys");
  await editor.page.getByRole("button", { name: /^Keys of Mute/ }).click();
  await editor.press("j");
  await editor.page.getByRole("button", { name: /^Keys of Mute: J/ }).waitFor();
  await editor.press("Escape");
  await editor.choose("cfg");
  await editor.press("j");
  await expect.poll(() => editor.card("cfg").getAttribute("aria-label")).toMatch(/muted/);
  await editor.press("j");
  await expect.poll(() => editor.card("cfg").getAttribute("aria-label")).not.toMatch(/muted/);
  await editor.command("Settings of this browser");
  await editor.page.getByRole("checkbox", { name: /Single keys/ }).uncheck();
  await editor.press("Escape");
  await editor.choose("cfg");
  await editor.press("j");
  expect((await editor.document()).nodes["cfg"]?.mode).toBeUndefined();
});

scenario("F6 goes round the regions and back, and Tab is never trapped", async (editor) => {
  await editor.open(textToImage({ seed: 1 }), "regions.json");
  const region = () => editor.page.evaluate(() => document.activeElement?.closest("[data-region]")?.getAttribute("data-region") ?? "none");
  const seen: string[] = [];
  for (let at = 0; at < 12; at += 1) {
    await editor.press("F6");
    seen.push(await region());
  }
  expect(new Set(seen).size, seen.join(", ")).toBeGreaterThanOrEqual(4);
  const here = await region();
  await editor.press("F6", "Shift+F6");
  expect(await region()).toBe(here);
  await editor.card("model").focus();
  const passed = new Set<string>();
  for (let at = 0; at < 60; at += 1) {
    await editor.press("Tab");
    passed.add(await region());
  }
  expect(passed.size).toBeGreaterThanOrEqual(3);
});

scenario("menus by Shift+F10, commands by Ctrl+K, Escape everywhere, and the focus comes back", async (editor) => {
  await editor.open(textToImage({ seed: 1 }), "menus.json");
  await editor.choose("cfg");
  const focused = () => editor.page.evaluate(() => document.activeElement?.getAttribute("data-card") ?? document.activeElement?.tagName);
  await editor.card("cfg").focus();
  await editor.press("Shift+F10");
  await editor.page.getByRole("menu").waitFor();
  await editor.press("Escape");
  await editor.page.getByRole("menu").waitFor({ state: "detached" });
  await expect.poll(focused).toBe("cfg");
  for (const key of ["Control+k", "Control+o", "Control+Shift+s", "?"]) {
    await editor.press(key);
    await editor.page.getByRole("dialog").waitFor();
    await editor.press("Escape");
    await expect.poll(() => editor.page.locator("dialog[open]").count()).toBe(0);
    await expect.poll(focused, { message: key }).toBe("cfg");
  }
});
