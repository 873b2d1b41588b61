/** Reloading, closing, two pages on one workflow: no work is lost, and nobody's is written over unseen. */
import { Editor, expect, scenario, textToImage } from "./harness";
import { ask, jobsOf, longRun, newSeed } from "./harness/watch";

const put = (editor: Editor, name: string, document: unknown, headers: Record<string, string> = {}) =>
  ask<{ etag: string }>(editor, `workflows/${encodeURIComponent(name)}`, document, "PUT", headers);

/** Opens a saved workflow by the list that Ctrl+O shows. */
async function openSaved(editor: Editor, name: string): Promise<void> {
  await editor.press("Control+o");
  await editor.page.getByRole("textbox", { name: "Find a saved workflow" }).fill(name);
  await editor.page.getByRole("dialog").getByRole("button", { name: new RegExp(`^${name}`) }).first().click();
  await editor.page.getByRole("tab", { name: new RegExp(`^${name}`), selected: true }).waitFor();
  await editor.cards().first().waitFor();
}

scenario("a reload in the middle of a run: states and previews come back", async (editor) => {
  const title = `reloaded ${newSeed()}`;
  await editor.open(longRun(100), `${title}.json`);
  await editor.press("Control+Enter");
  await editor.card("denoise").getByText(/step \d+ of 100/).waitFor();
  await editor.page.reload();
  await editor.card("denoise").getByText(/step \d+ of 100/).waitFor();
  await editor.card("denoise").getByRole("img").waitFor();
  expect(await editor.card("prompt").getAttribute("aria-label")).toMatch(/done|from (memory|disk)|not needed/);
  await expect.poll(async () => (await jobsOf(editor, title)).map((job) => job.state), { timeout: 60_000 }).toEqual(["done"]);
  await editor.card("save").getByRole("img").waitFor();
}, { timeout: 90_000 });

scenario("drafts come back after the tab has died", async (editor) => {
  await editor.open(textToImage({ seed: 5 }), "mortal.json");
  await editor.card("prompt").getByRole("textbox", { name: "text" }).fill("never saved anywhere");
  await editor.press("Tab");
  await editor.page.getByRole("button", { name: "New workflow" }).click();
  await editor.open(textToImage({ seed: 6 }), "second.json");
  // The draft is on disk when IndexedDB has it; then the tab dies without a word.
  await expect
    .poll(() =>
      editor.page.evaluate(
        () =>
          new Promise<string>((done) => {
            const open = indexedDB.open("weft-editor");
            open.onsuccess = () => {
              const all = open.result.transaction("drafts").objectStore("drafts").getAll();
              all.onsuccess = () => done(JSON.stringify(all.result));
            };
          }),
      ),
    )
    .toMatch(/never saved anywhere[\s\S]*"second|"second[\s\S]*never saved anywhere/);
  const { context } = editor;
  await editor.page.close({ runBeforeUnload: false });
  const again = await Editor.in(context, editor.url);
  await again.goto();
  await again.page.getByRole("tab", { name: /^mortal/ }).click();
  await again.card("prompt").waitFor();
  expect(await again.card("prompt").getByRole("textbox", { name: "text" }).inputValue()).toBe("never saved anywhere");
  expect(await again.tabs.count()).toBe(3);
  again.noFaults();
});

scenario("two pages on one workflow: the second to save sees both, and chooses", async (editor) => {
  const name = `shared ${newSeed()}`;
  await put(editor, name, textToImage({ seed: 1, text: "as it was" }));
  await openSaved(editor, name);
  const other = await editor.anotherTab();
  await openSaved(other, name);
  await other.card("prompt").getByRole("textbox", { name: "text" }).fill("theirs");
  await other.press("Tab", "Control+s");
  await other.page.getByRole("tab", { name: new RegExp(`^${name}$`) }).waitFor();
  editor.expectError(/412/);
  await editor.card("prompt").getByRole("textbox", { name: "text" }).fill("mine");
  await editor.press("Tab", "Control+s");
  const notice = editor.page.getByRole("status").filter({ hasText: "Not saved." });
  await notice.waitFor();
  expect((await editor.document()).nodes["prompt"]?.inputs?.["text"]).toBe("mine");
  const saved = () => ask<{ nodes: { prompt: { inputs: { text: string } } } }>(editor, `workflows/${encodeURIComponent(name)}`);
  expect((await saved()).nodes.prompt.inputs.text).toBe("theirs");
  await notice.getByRole("button", { name: "What differs" }).click();
  const dialog = editor.page.getByRole("dialog", { name: new RegExp(`^${name} was saved by someone else`) });
  const lines = dialog.getByRole("region", { name: "prompt", exact: true });
  await lines.getByText("theirs").last().waitFor();
  await lines.getByText("mine").waitFor();
  await dialog.getByRole("button", { name: "Save mine over it" }).click();
  await expect.poll(async () => (await saved()).nodes.prompt.inputs.text).toBe("mine");
  const versions = await ask<unknown[] | { versions: unknown[] }>(editor, `workflows/${encodeURIComponent(name)}/versions`);
  expect((Array.isArray(versions) ? versions : versions.versions).length).toBeGreaterThanOrEqual(2);
  other.noFaults();
});

scenario("a saved workflow that was changed elsewhere says so", async (editor) => {
  const name = `elsewhere ${newSeed()}`;
  const { etag } = await put(editor, name, textToImage({ seed: 1 }));
  await openSaved(editor, name);
  await put(editor, name, textToImage({ seed: 1, text: "from elsewhere" }), { "If-Match": `"${etag.replaceAll('"', "")}"` });
  // Nothing was edited here: it is shown as it is now, or the reader is asked.
  await expect
    .poll(async () => {
      const text = await editor.card("prompt").getByRole("textbox", { name: "text" }).inputValue();
      return text === "from elsewhere" || (await editor.page.getByRole("status").filter({ hasText: name }).count()) > 0;
    })
    .toBe(true);
});

scenario("earlier versions are listed, say what differs, and open beside the newest", async (editor) => {
  const name = `versions ${newSeed()}`;
  await put(editor, name, textToImage({ seed: 1, text: "first" }));
  await openSaved(editor, name);
  await editor.card("prompt").getByRole("textbox", { name: "text" }).fill("second");
  await editor.press("Tab", "Control+s");
  await editor.hear(/saved as/);
  await editor.command("Earlier versions");
  const dialog = editor.page.getByRole("dialog");
  await dialog.getByRole("button", { name: /^version/ }).last().click();
  await dialog.getByRole("region", { name: "prompt", exact: true }).getByText("first").waitFor();
  await dialog.getByRole("button", { name: "Open as a copy" }).click();
  await editor.page.getByRole("tab", { name: new RegExp(`^${name}, version`), selected: true }).waitFor();
  expect((await editor.document()).nodes["prompt"]?.inputs?.["text"]).toBe("first");
});

scenario("a closed tab with unsaved work comes back with its history", async (editor) => {
  await editor.open(textToImage({ seed: 5 }), "closing.json");
  await editor.choose("cfg");
  await editor.press("Delete");
  await expect.poll(() => editor.cards().count()).toBe(5);
  await editor.command("Close this tab");
  await editor.page.getByRole("button", { name: "Open it again" }).click();
  await editor.card("prompt").waitFor();
  expect(await editor.cards().count()).toBe(5);
  await editor.focusCanvas();
  await editor.press("Control+z");
  await expect.poll(() => editor.cards().count()).toBe(6);
});
