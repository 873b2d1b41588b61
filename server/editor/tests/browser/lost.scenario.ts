/** The server dies in the middle of a run, and comes back: nothing is lost, nothing is told twice. */
import { afterAll, beforeAll, test } from "vitest";
import { expect, inPage, textToImage, warm, WeftServer } from "./harness";
import { eventsOf, jobsOf, listenTo, longRun, newSeed } from "./harness/watch";

let server: WeftServer;
beforeAll(async () => {
  server = await WeftServer.start();
  await warm(server);
});
afterAll(() => server.stop());

const GONE = [/WebSocket|ERR_CONNECTION|Failed to load resource|net::/];

test("kill -9 in the middle of a run: editing goes on, and the run ends right", async () => {
  await inPage(async (editor) => {
    const told = listenTo(editor);
    await editor.goto();
    const title = `killed ${newSeed()}`;
    await editor.open(longRun(60), `${title}.json`);
    // The page has come as a whole: who works in it for a moment has all of it.
    await editor.page.waitForLoadState("networkidle");
    await editor.press("Control+Enter");
    await editor.card("denoise").getByText(/step \d+ of 60/).waitFor();
    await server.kill();
    const notice = editor.page.getByRole("status").filter({ hasText: /lost|does not answer|not connected/i }).first();
    await notice.waitFor();
    await notice.getByRole("button", { name: /try now/i }).waitFor();
    expect(await notice.textContent()).toMatch(/\d+ s/);
    // Editing goes on, and Run is Queue.
    await editor.page.getByRole("button", { name: /^Queue\b/ }).first().waitFor();
    await editor.card("prompt").getByRole("textbox", { name: "text" }).fill("a green triangle");
    await editor.press("Tab");
    expect((await editor.document()).nodes["prompt"]?.inputs?.["text"]).toBe("a green triangle");
    await expect.poll(() => editor.card("denoise").getByText(/last:/).count()).toBe(1);
    const posts = editor.countRequests(/^POST \/api\/v1\/jobs$/);
    await editor.page.getByRole("button", { name: /^Queue\b/ }).first().click();
    await editor.page.getByRole("button", { name: /^Queue.*1 waits/ }).first().waitFor();
    expect(await jobsNow()).toBe("gone");
    await server.restart();
    const again = notice.getByRole("button", { name: /try now/i });
    if (await again.isVisible()) await again.click();
    await editor.page.getByText("Connected", { exact: true }).waitFor();
    await expect.poll(async () => (await jobsOf(editor, title)).map((job) => job.state), { timeout: 90_000, interval: 200 }).toEqual(["done", "done"]);
    // One job of the run that was queued while the server was away, whatever was asked meanwhile.
    expect(posts.count).toBeGreaterThanOrEqual(1);
    await editor.hear(/^done,/, 0, 15_000);
    for (const job of await jobsOf(editor, title)) {
      const stored = (await eventsOf(editor, job.id)).map((event) => event.state);
      expect(stored).toEqual(stored.map((_, at) => at));
      // The page got every one of them; one that it had asked for again may have come twice.
      await expect.poll(() => [...new Set(told.flatMap((event) => (event.job === job.id ? (event.state ?? []) : [])))].sort((a, b) => a - b)).toEqual(stored);
      expect(job.outputs).toHaveLength(1);
    }
    // And the reader heard of each end once.
    await expect.poll(async () => (await editor.said()).filter((line) => /^done,/.test(line)).length).toBe(2);
    const [newest, first] = await jobsOf(editor, title);
    expect(newest?.outputs[0]?.file).not.toBe(first?.outputs[0]?.file);
    await editor.card("save").getByRole("img").waitFor();
  }, { url: server.url, path: "", errors: GONE });
}, 150_000);

async function jobsNow(): Promise<string> {
  return fetch(`${server.url}/healthz`).then(() => "there", () => "gone");
}

test("what is edited while the server is lost is saved when it is back", async () => {
  await inPage(async (editor) => {
    const name = `away ${newSeed()}`;
    await server.ask(`workflows/${encodeURIComponent(name)}`, textToImage({ seed: 1 }), "PUT");
    await editor.goto(`/app/${encodeURIComponent(name)}`);
    await editor.page.getByRole("radio", { name: "Graph" }).click();
    await editor.card("prompt").waitFor();
    await editor.page.waitForLoadState("networkidle");
    await server.kill();
    await editor.page.getByRole("button", { name: /^Queue\b/ }).first().waitFor();
    await editor.card("prompt").getByRole("textbox", { name: "text" }).fill("a yellow star");
    await editor.press("Tab");
    await editor.press("Control+s");
    await editor.page.getByText(/Not saved yet/).waitFor();
    await server.restart();
    const again = editor.page.getByRole("button", { name: /try now/i });
    if (await again.isVisible()) await again.click().catch(() => undefined);
    await expect.poll(async () => (await server.ask<{ nodes: { prompt: { inputs: { text: string } } } }>(`workflows/${encodeURIComponent(name)}`)).nodes.prompt.inputs.text, { timeout: 20_000 }).toBe("a yellow star");
    await editor.page.getByRole("tab", { name: new RegExp(`^${name}$`) }).waitFor();
    expect(await editor.page.getByText(/Not saved yet/).count()).toBe(0);
  }, { url: server.url, path: "", errors: GONE });
}, 60_000);
