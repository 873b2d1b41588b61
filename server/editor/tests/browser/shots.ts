/** Pictures of every view in both themes, at two sizes: `SHOTS_TO=folder npm run shots`. */
import { mkdirSync } from "node:fs";
import { scenario } from "./harness";

const FOLDER = process.env["SHOTS_TO"] ?? "shots";
mkdirSync(FOLDER, { recursive: true });

for (const scheme of ["dark", "light"] as const) {
  scenario(`desk, ${scheme}`, async (editor) => {
    const shot = (name: string) => editor.page.screenshot({ path: `${FOLDER}/${name}-${scheme}.png` });
    await editor.page.locator(".example").first().waitFor();
    await shot("first-run");
    await editor.page.locator(".example").nth(1).click();
    await editor.cards().first().waitFor();
    await shot("before-a-run");
    await editor.run();
    await shot("after-a-run");
    for (const list of ["Right panels", "Bottom panels"]) {
      for (const tab of await editor.page.getByRole("tablist", { name: list }).getByRole("tab").all()) {
        await tab.click();
        await shot(`panel-${await tab.getAttribute("id")}`);
      }
    }
    await editor.page.getByRole("button", { name: "Outline" }).click();
    await shot("outline");
    await editor.page.getByRole("radio", { name: "App" }).click();
    await shot("app");
    await editor.page.setViewportSize({ width: 390, height: 844 });
    for (const tab of await editor.page.getByRole("tablist", { name: "Views" }).getByRole("tab").all()) {
      await tab.click();
      await shot(`phone-${(await tab.innerText()).trim().toLowerCase()}`);
    }
  }, { colorScheme: scheme, timeout: 90_000 });
}
