/** What a run would do, does, and did: in words on the cards, the same that the server says. */
import { expect, link, scenario, textToImage } from "./harness";
import { eventsOf, jobsOf, newSeed } from "./harness/watch";

scenario("plan words before and after a run", async (editor) => {
  const document = textToImage({ seed: newSeed(), steps: 1, text: `number ${newSeed()}` });
  await editor.open(document, "planned.json");
  await expect.poll(() => editor.card("denoise").getAttribute("aria-label")).toMatch(/will run/);
  await expect.poll(() => editor.runButton.textContent()).toMatch(/Run\s*\d of 6/);
  await editor.run();
  await expect.poll(() => editor.runButton.textContent()).toMatch(/nothing to do/);
  await editor.page.reload();
  await editor.card("denoise").waitFor();
  // It is what the last run was of: the cards say what that did.
  await expect.poll(() => editor.card("cfg").getAttribute("aria-label")).toMatch(/^cfg,.*done/);
  await expect.poll(() => editor.runButton.textContent()).toMatch(/nothing to do/);
  await editor.card("cfg").getByRole("spinbutton", { name: /scale/ }).fill("4");
  await editor.press("Tab");
  await expect.poll(() => editor.card("denoise").getAttribute("aria-label")).toMatch(/will run/);
  await expect.poll(() => editor.card("model").getAttribute("aria-label")).toMatch(/from (memory|disk)/);
  await expect.poll(() => editor.card("prompt").getAttribute("aria-label")).toMatch(/not needed|from (memory|disk)/);
});

scenario("run to here runs what it needs and nothing else", async (editor) => {
  const title = `to here ${newSeed()}`;
  await editor.open(textToImage({ seed: newSeed(), text: `words ${newSeed()}` }), `${title}.json`);
  await editor.choose("prompt");
  await editor.run(() => editor.press("r"));
  const [job] = await jobsOf(editor, title);
  const nodes = (await eventsOf(editor, job?.id ?? "")).flatMap((event) => event.node ?? []);
  expect(nodes).toContain("prompt");
  expect(nodes).not.toContain("denoise");
  expect(await editor.card("prompt").getAttribute("aria-label")).toMatch(/done|from/);
});

scenario("a node type that is not installed stays with all its data", async (editor) => {
  const document = textToImage({ seed: 1 });
  document.nodes["lost"] = { type: "pack_that_went_missing", inputs: { image: link("image"), amount: 0.25, words: "keep me" } };
  await editor.open(document, "missing.json");
  const card = editor.card("lost");
  await expect.poll(() => card.getAttribute("aria-label")).toMatch(/not installed/);
  await editor.page.getByRole("button", { name: /1 problem/ }).first().waitFor();
  await editor.card("cfg").getByRole("spinbutton", { name: /scale/ }).fill("4");
  await editor.press("Tab");
  expect((await editor.document()).nodes["lost"]).toEqual(document.nodes["lost"]);
});

scenario("a node that fails shows its message, Log and Retry", async (editor) => {
  const title = `fails ${newSeed()}`;
  const document = textToImage({ seed: newSeed() });
  // A file that is no picture: in form, and known to be wrong only when it is read.
  const { file } = await (await fetch(`${editor.url}/api/v1/files`, { method: "POST", headers: { "Content-Type": "image/png" }, body: NOT_THE_SIZE })).json() as { file: string };
  document.nodes["picture"] = { type: "load_image", inputs: { path: file } };
  document.nodes["start"] = { type: "encode_image", inputs: { model: link("model"), image: link("picture") } };
  (document.nodes["denoise"] as { inputs: Record<string, unknown> }).inputs["start"] = link("start");
  await editor.open(document, `${title}.json`);
  const end = await editor.run();
  expect(end).toMatch(/^failed/);
  const failed = editor.page.locator('[data-state="failed"]');
  await failed.getByRole("button", { name: "Retry" }).waitFor();
  await failed.getByRole("button", { name: "Log" }).waitFor();
  const [job] = await jobsOf(editor, title);
  expect(job?.error?.message).toBeTruthy();
  expect(await failed.textContent()).toContain((job?.error?.message ?? "?").slice(0, 30));
  await editor.run(() => failed.getByRole("button", { name: "Retry" }).click());
  expect((await jobsOf(editor, title)).length).toBe(2);
});

/** One pixel, where the model wants sides that are multiples of eight. */
const NOT_THE_SIZE = Buffer.from("iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==", "base64");

scenario("why did this run again: the inspector says which input changed", async (editor) => {
  await editor.open(textToImage({ seed: newSeed(), steps: 1 }), "why.json");
  await editor.run();
  const field = editor.card("cfg").getByRole("spinbutton", { name: /scale/ });
  await field.fill("3.5");
  await field.press("Enter");
  await editor.run();
  await editor.choose("cfg");
  await editor.inspector.getByText(/scale.*(7\.5.*3\.5|3\.5.*7\.5)/).first().waitFor();
});
