/** axe-core over every view and panel in both themes: nothing that is serious or critical. */
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { type Editor, expect, scenario, textToImage } from "./harness";

const AXE = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");

interface Found {
  readonly id: string;
  readonly impact: string | null;
  readonly nodes: readonly { readonly html: string; readonly failureSummary: string }[];
}

/** What axe finds in the page as it is, best practices too; or by some of its rules alone. */
async function found(editor: Editor, rules: readonly string[]): Promise<string[]> {
  const { violations } = await editor.page.evaluate(async ([source, only]) => {
    const page = window as unknown as { axe?: { run(options: object): Promise<{ violations: Found[] }> } };
    // As a function: the page's policy lets no script be written into it, and the page must not be changed for a test.
    if (!page.axe) (0, eval)(source);
    if (!page.axe) throw new Error("axe is not there");
    return page.axe.run({ resultTypes: ["violations"], ...(only.length > 0 && { runOnly: { type: "rule", values: only } }) });
  }, [AXE, rules] as const);
  return violations.filter(({ impact }) => impact === "serious" || impact === "critical").map(({ id, nodes }) => `${id}: ${nodes.slice(0, 3).map((node) => node.html.slice(0, 160)).join(" | ")}`);
}

/** Themes differ by their colours: the rest is looked at in one of them. */
const RULES = { dark: [], light: ["color-contrast", "link-in-text-block"] } as const;

for (const scheme of ["dark", "light"] as const) {
  scenario(`axe finds nothing serious, ${scheme}`, async (editor) => {
    const wrong: Record<string, string[]> = {};
    const look = async (name: string) => {
      const list = await found(editor, RULES[scheme]);
      if (list.length > 0) wrong[name] = list;
    };
    await look("first run");
    await editor.open(textToImage({ seed: 3, steps: 1 }), "looked at.json");
    await editor.run();
    await editor.choose("denoise");
    await look("graph with inspector");
    for (const label of await editor.page.getByRole("navigation", { name: "Panels" }).locator("button[aria-pressed]").allInnerTexts().then((all) => all.keys())) {
      const button = editor.page.getByRole("navigation", { name: "Panels" }).locator("button[aria-pressed]").nth(label);
      await button.click();
      await editor.page.locator("aside.left").waitFor();
      await look(`left panel ${await button.getAttribute("aria-label")}`);
      await button.click();
    }
    for (const list of ["Right panels", "Bottom panels"]) {
      for (const tab of await editor.page.getByRole("tablist", { name: list }).getByRole("tab").all()) {
        await tab.click();
        await look(`${list}: ${await tab.innerText()}`);
      }
    }
    for (const command of ["Keys", "Settings of this browser", "Open", "Save as", "The workflow as JSON or Python"]) {
      await editor.command(command);
      await editor.page.getByRole("dialog").waitFor();
      await look(command);
      await editor.press("Escape");
      await editor.page.getByRole("dialog").waitFor({ state: "detached" }).catch(() => undefined);
    }
    await editor.page.getByRole("radio", { name: "App" }).click();
    await look("app view");
    await editor.page.setViewportSize({ width: 390, height: 844 });
    for (const tab of await editor.page.getByRole("tablist", { name: "Views" }).getByRole("tab").all()) {
      await tab.click();
      await look(`phone: ${await tab.innerText()}`);
    }
    expect(wrong).toEqual({});
  }, { colorScheme: scheme, bypassCSP: true, timeout: 90_000 });
}

scenario("reduced motion: nothing moves by itself", async (editor) => {
  await editor.open(textToImage({ seed: 3, steps: 1 }), "still.json");
  await editor.press("Control+k");
  const moving = await editor.page.evaluate(() => document.getAnimations().filter((animation) => Number(animation.effect?.getComputedTiming().duration ?? 0) > 1).length);
  expect(moving).toBe(0);
});

scenario("at 200 % and with forced colours everything is still there", async (editor) => {
  await editor.page.emulateMedia({ forcedColors: "active" });
  await editor.drop([{ name: "zoomed.json", mime: "application/json", bytes: JSON.stringify(textToImage({ seed: 3, steps: 1 })) }]);
  await editor.page.getByRole("group", { name: "Workflow zoomed: 6 nodes" }).waitFor();
  await editor.command("Zoom to 100 %");
  expect(await editor.page.evaluate(() => document.documentElement.scrollWidth <= innerWidth)).toBe(true);
  await editor.runButton.waitFor();
  const border = await editor.cards().first().evaluate((card) => getComputedStyle(card).borderTopWidth);
  expect(parseFloat(border)).toBeGreaterThan(0);
  await editor.command("Keys");
  await editor.page.getByRole("dialog").waitFor();
}, { viewport: { width: 720, height: 450 }, deviceScaleFactor: 2 });
