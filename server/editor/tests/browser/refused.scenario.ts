/** What the server refuses, and how the reader learns of it: in a sentence, where it was asked for. */
import { afterAll, beforeAll, test } from "vitest";
import { writeFileSync, mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, inPage, scenario, textToImage, WeftServer } from "./harness";

const problem = (status: number, code: string, detail: string, headers: Record<string, string> = {}) => ({
  status,
  headers: { "content-type": "application/problem+json", ...headers },
  body: JSON.stringify({ type: `/problems/${code}`, title: detail, status, detail, code, problems: [] }),
});

for (const [status, code, detail] of [
  [503, "draining", "The server is about to stop."],
  [507, "no_space", "There is no space left for results."],
  [429, "too_many", "10,000 jobs wait already."],
] as const) {
  scenario(`a run that is refused with ${status} says why, and nothing is lost`, async (editor) => {
    await editor.open(textToImage({ seed: 1 }), "refused.json");
    await editor.page.route("**/api/v1/jobs", (route) => (route.request().method() === "POST" ? route.fulfill(problem(status, code, detail, { "retry-after": "5" })) : route.continue()));
    await editor.press("Control+Enter");
    const notice = editor.page.getByRole("status").filter({ hasText: "Not queued." });
    await notice.waitFor();
    expect(await notice.textContent()).toContain(detail);
    expect(await notice.textContent()).toMatch(/5 s/);
    await editor.page.unroute("**/api/v1/jobs");
    expect(await editor.run()).toMatch(/^done/);
  }, { errors: [/Failed to load resource/] });
}

scenario("an upload that is refused leaves the field as it was, and says why", async (editor) => {
  await editor.open({ weft: 1, nodes: { picture: { type: "load_image", inputs: { path: "shapes.png" } } } }, "upload.json");
  await editor.choose("picture");
  const field = editor.inspector.locator("input[type=file]").first();
  const bad = { name: "page.png", mimeType: "image/png", buffer: Buffer.from("<html></html>") };
  if ((await field.count()) > 0) await field.setInputFiles(bad);
  else await editor.drop([{ name: bad.name, mime: bad.mimeType, bytes: bad.buffer }], editor.card("picture").locator(".card__field").first());
  await editor.page.getByText(/The file is no PNG/).first().waitFor();
  expect((await editor.document()).nodes["picture"]?.inputs?.["path"]).toBe("shapes.png");
}, { errors: [/Failed to load resource/] });

let guarded: WeftServer;
const token = "t".repeat(43);
beforeAll(async () => {
  const file = join(mkdtempSync(join(tmpdir(), "weft-token-")), "token");
  writeFileSync(file, `${token}\n`, { mode: 0o600 });
  guarded = await WeftServer.start({ more: ["--token", file] });
});
afterAll(() => guarded.stop());

test("without the token the page says what is missing; with it, it works", async () => {
  await inPage(async (editor) => {
    await editor.page.goto(editor.url);
    await editor.page.getByText("The server wants its token.").waitFor();
    const other = await editor.anotherTab(`/#token=${token}`).catch(() => null);
    if (!other) throw new Error("The page with the token did not open.");
    await other.page.getByText("Connected", { exact: true }).waitFor();
    expect(other.page.url()).not.toContain(token);
    await other.page.getByRole("button", { name: "Empty workflow" }).waitFor();
    expect(await other.page.getByText("The server wants its token.").count()).toBe(0);
  }, { url: guarded.url, path: "", errors: [/Failed to load resource|WebSocket/] });
});
