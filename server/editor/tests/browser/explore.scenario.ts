import { scenario, textToImage } from "./harness";
import { writeFileSync } from "node:fs";
scenario("explore", async (editor) => {
  await editor.open(textToImage({ seed: 1 }));
  await editor.run();
  await editor.choose("denoise");
  writeFileSync("/tmp/t2/desk.txt", await editor.page.locator("body").ariaSnapshot());
  await editor.page.screenshot({ path: "/tmp/t2/desk.png" });
  await editor.page.keyboard.press("Shift+G");
  writeFileSync("/tmp/t2/app.txt", await editor.page.locator("body").ariaSnapshot());
  await editor.page.screenshot({ path: "/tmp/t2/app.png" });
  await editor.page.setViewportSize({ width: 390, height: 844 });
  for (const name of ["Parameters", "Result", "Queue", "Outline"]) {
    await editor.page.getByRole("tab", { name }).click();
    writeFileSync(`/tmp/t2/phone-${name}.txt`, await editor.page.locator("body").ariaSnapshot());
    await editor.page.screenshot({ path: `/tmp/t2/phone-${name}.png` });
  }
});
