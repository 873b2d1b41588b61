/** The queue: what waits is put in order, held back, taken away and run again. */
import { type Editor, expect, scenario } from "./harness";
import { ask, jobsOf, longRun, newSeed } from "./harness/watch";

async function waiting(editor: Editor, count: number): Promise<string> {
  const title = `queue ${newSeed()}`;
  await ask(editor, "queue/pause", {});
  await editor.open(longRun(1), `${title}.json`);
  for (let at = 0; at < count; at += 1) {
    await editor.press("Control+Enter");
    await expect.poll(async () => (await jobsOf(editor, title)).length).toBe(at + 1);
    await editor.command("Draw a seed");
  }
  await editor.page.getByRole("tab", { name: /^Runs/ }).click();
  return title;
}

scenario("runs wait while the queue is paused, one goes first, and all go when it goes on", async (editor) => {
  try {
    const title = await waiting(editor, 2);
    await editor.press("Control+Shift+Enter");
    await expect.poll(async () => (await jobsOf(editor, title)).length).toBe(3);
    expect((await jobsOf(editor, title)).every((job) => job.state === "queued")).toBe(true);
    await editor.page.getByRole("button", { name: /resume|go on/i }).first().click();
    await expect.poll(async () => (await jobsOf(editor, title)).map((job) => job.state), { timeout: 20_000 }).toEqual(["done", "done", "done"]);
    const jobs = (await jobsOf(editor, title)) as unknown as { created: number; started: number }[];
    const byStart = [...jobs].sort((a, b) => a.started - b.started);
    expect(byStart[0]).toEqual([...jobs].sort((a, b) => b.created - a.created)[0]);
  } finally {
    await ask(editor, "queue/resume", {});
  }
});

scenario("what waits is cancelled, one by one and all at once", async (editor) => {
  try {
    const title = await waiting(editor, 3);
    const panel = editor.page.getByRole("complementary", { name: "Runs" });
    await panel.getByRole("button", { name: /cancel/i }).first().click();
    await expect.poll(async () => (await jobsOf(editor, title)).filter((job) => job.state === "cancelled").length).toBe(1);
    await panel.getByRole("button", { name: /clear/i }).first().click();
    await expect.poll(async () => (await jobsOf(editor, title)).every((job) => job.state === "cancelled")).toBe(true);
  } finally {
    await ask(editor, "queue/resume", {});
  }
});

scenario("the gallery opens the workflow of a picture", async (editor) => {
  const document = longRun(1);
  await editor.open(document, `gallery ${newSeed()}.json`);
  await editor.run();
  await editor.page.getByRole("tab", { name: /^Gallery/ }).click();
  const panel = editor.page.getByRole("complementary", { name: "Gallery" });
  await panel.getByRole("img").first().waitFor();
  await panel.getByRole("img").first().click();
  await panel.getByRole("button", { name: /open.*workflow/i }).first().click();
  await expect.poll(() => editor.tabs.count()).toBe(2);
  expect((await editor.document()).nodes["denoise"]?.inputs?.["seed"]).toBe(document.nodes["denoise"]?.inputs?.["seed"]);
});
