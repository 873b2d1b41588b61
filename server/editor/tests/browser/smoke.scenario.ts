/** The first thing that has to work: the page, a workflow, a picture. */
import { expect, scenario, textToImage } from "./harness";

scenario("opens a workflow, runs it to a picture, and says so", async (editor) => {
  await editor.open(textToImage({ seed: 1 }));
  await expect.poll(() => editor.cards().count()).toBe(6);
  expect(await editor.run()).toMatch(/^done, /);
  await editor.card("save").getByRole("img").waitFor();
  expect((await editor.document()).nodes["denoise"]?.inputs?.["seed"]).toBe(1);
});
