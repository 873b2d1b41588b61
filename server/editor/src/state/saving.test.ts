import "fake-indexeddb/auto";
import { beforeEach, describe, expect, test, vi } from "vitest";
import { type FakeServer, fakeServer } from "../../tests/fake-server";
import { documentText, emptyDocument, parseDocument } from "../document/text";
import { addNode } from "../document/edits";
import type { Document } from "../document/types";
import { drafts, dropDraft } from "../service/drafts";
import { keepNow, openDraft, otherDrafts, restoreDrafts, watchDrafts } from "./keeping";
import { draftWords } from "./newer";
import { useNotices } from "./notices";
import { freeName, save, saveWaiting, workflowChanged } from "./saving";
import { tabOf, useWorkspace } from "./workspace";

let server: FakeServer;

beforeEach(async () => {
  vi.useRealTimers();
  server = fakeServer();
  useWorkspace.setState({ tabs: [], current: null, ready: false });
  useNotices.setState({ list: [] });
  for (const { id } of await drafts()) await dropDraft(id);
});

const add = (name = "blur") => useWorkspace.getState().edit(addNode(tabOf()?.history.document ?? emptyDocument(), null, name));
const theirs: Document = { weft: 1, meta: { title: "Theirs" }, nodes: {} };
/** A folder of one file, as the server has it. */
function folder() {
  let file: { text: string; number: number } | null = null;
  const listed = () => ({ name: "dome", title: "", modified: 0, etag: `"${file?.number}"` });
  server.answers.set("PUT /workflows/dome", ({ body, headers }) => {
    const wanted = headers["if-match"] ?? null;
    if (file && wanted !== `"${file.number}"`) {
      return Response.json({ code: "stale", detail: "Somebody was faster." }, { status: wanted ? 412 : 428 });
    }
    file = { text: JSON.stringify(body), number: (file?.number ?? 0) + 1 };
    return Response.json(listed());
  });
  server.answers.set("GET /workflows/dome", () => new Response(file?.text, { headers: { etag: `"${file?.number}"` } }));
  return { put: (text: string) => void (file = { text, number: (file?.number ?? 0) + 1 }), text: () => file?.text };
}

describe("saving", () => {
  test("a tab without a name is to be given one; then it is saved, and edits make it unsaved again", async () => {
    folder();
    useWorkspace.getState().open(emptyDocument());
    expect(await save()).toBe("unnamed");
    expect(await save(undefined, "dome")).toBe("saved");
    expect(tabOf()).toMatchObject({ name: "dome", title: "dome", unsaved: false, saved: { etag: '"1"' } });
    add();
    expect(tabOf()?.unsaved).toBe(true);
    expect(await save()).toBe("saved");
    expect(tabOf()).toMatchObject({ unsaved: false, saved: { etag: '"2"' } });
  });

  test("undo back to what is saved is saved", async () => {
    folder();
    const stop = watchDrafts();
    useWorkspace.getState().open(emptyDocument());
    await save(undefined, "dome");
    add();
    useWorkspace.getState().undo();
    await keepNow();
    expect(tabOf()?.unsaved).toBe(false);
    stop();
  });

  test("a tab that is closed unsaved leaves a draft, which is not opened by itself", async () => {
    const stop = watchDrafts();
    useWorkspace.getState().open(emptyDocument(), { title: "sketch" });
    add();
    const id = tabOf()?.id ?? "";
    await keepNow();
    useWorkspace.getState().close(id);
    await vi.waitFor(async () => expect(await drafts()).toMatchObject([{ id, closed: true }]));
    await restoreDrafts();
    expect(useWorkspace.getState().tabs).toEqual([]);
    const [draft] = await otherDrafts();
    expect(draft && openDraft(draft)).toBe(true);
    expect(Object.keys(tabOf()?.history.document.nodes ?? {})).toEqual(["blur"]);
    await keepNow();
    expect((await drafts()).map(({ id, closed }) => [id, closed])).toEqual([[id, undefined]]);
    stop();
  });

  test("says how old a draft is beside its file", () => {
    const file = { name: "dome", modified: 1000, etag: '"2"' };
    expect(draftWords(file, 1_180_000, '"2"')).toBe("This draft of dome is 3 minutes newer than the file.");
    expect(draftWords(file, 400_000, '"1"')).toBe("This draft of dome is 10 minutes older than the file. The file was saved elsewhere meanwhile.");
  });

  test("a name that is taken is said so; mine can become a copy, or a version over it", async () => {
    const there = folder();
    there.put(documentText(theirs));
    useWorkspace.getState().open(emptyDocument());
    const mine = tabOf()?.id ?? "";
    expect(await save(undefined, "dome")).toBe("conflict");
    const [notice] = useNotices.getState().list;
    expect(notice?.text).toContain("is there already");
    expect(notice?.text).not.toContain("someone else");
    server.answers.set("GET /workflows", () => Response.json([{ name: "dome" }, { name: "dome copy" }]));
    server.answers.set("PUT /workflows/dome%20copy%202", ({ headers }) => Response.json({ etag: '"9"', name: "dome copy 2", made: headers["if-none-match"] }));
    server.answers.set("PUT /workflows/dome copy 2", ({ headers }) => Response.json({ etag: '"9"', name: "dome copy 2", made: headers["if-none-match"] }));
    notice?.actions?.find(({ label }) => label === "Keep mine as a copy")?.run();
    await vi.waitFor(() => expect(tabOf(mine)).toMatchObject({ name: "dome copy 2", saved: { etag: '"9"' }, conflict: null }));
    expect(there.text()).toBe(documentText(theirs));
    expect(await save(mine, "dome", '"1"')).toBe("saved");
    expect(tabOf(mine)).toMatchObject({ name: "dome", saved: { etag: '"2"' } });
  });

  test("a free name is near to the one that is taken", () => {
    expect(freeName("dome", ["dome"])).toBe("dome copy");
    expect(freeName("dome", ["Dome Copy", "dome copy 2"])).toBe("dome copy 3");
    expect(new TextEncoder().encode(freeName("é".repeat(50), [])).length).toBeLessThanOrEqual(100);
  });

  test("who comes second writes over nothing, sees both, and chooses", async () => {
    const there = folder();
    useWorkspace.getState().open(emptyDocument());
    await save(undefined, "dome");
    there.put(documentText(theirs));
    add();
    expect(await save()).toBe("conflict");
    expect(there.text()).toBe(documentText(theirs));
    expect(tabOf()).toMatchObject({ unsaved: true, conflict: { etag: '"2"', text: documentText(theirs) } });
    const actions = useNotices.getState().list[0]?.actions ?? [];
    actions.find(({ label }) => label === "Open theirs")?.run();
    expect(useWorkspace.getState().tabs.map((tab) => tab.history.document.meta?.title)).toEqual([undefined, "Theirs"]);
    const mine = useWorkspace.getState().tabs[0]?.id ?? "";
    actions.find(({ label }) => label === "Save mine over it")?.run();
    await vi.waitFor(() => expect(tabOf(mine)).toMatchObject({ unsaved: false, conflict: null, saved: { etag: '"3"' } }));
    expect(JSON.parse(there.text() ?? "")).toMatchObject({ nodes: { blur: { type: "blur" } } });
  });

  test("a name that is taken is no reason to write over what is there", async () => {
    const there = folder();
    there.put(documentText(theirs));
    useWorkspace.getState().open(emptyDocument());
    expect(await save(undefined, "dome")).toBe("conflict");
    expect(there.text()).toBe(documentText(theirs));
  });

  test("without a server it is saved later", async () => {
    const there = folder();
    useWorkspace.getState().open(emptyDocument());
    server.gone = true;
    expect(await save(undefined, "dome")).toBe("later");
    server.gone = false;
    await saveWaiting();
    expect(there.text()).toBeDefined();
    expect(useNotices.getState().list).toEqual([]);
  });

  test("what the server tells of our own save before it answers is no save of somebody else", async () => {
    const file = folder();
    useWorkspace.getState().open(emptyDocument());
    await save(undefined, "dome");
    add();
    const put = server.answers.get("PUT /workflows/dome");
    server.answers.set("PUT /workflows/dome", async (asked) => {
      const answer = (await put?.(asked)) ?? new Response();
      workflowChanged("dome", '"2"');
      return answer;
    });
    await save();
    expect(useNotices.getState().list).toEqual([]);
    // Somebody else saves while we do: that is told when ours is there.
    add();
    server.answers.set("PUT /workflows/dome", async (asked) => {
      const answer = (await put?.(asked)) ?? new Response();
      file.put(documentText(theirs));
      workflowChanged("dome", '"3"');
      workflowChanged("dome", '"4"');
      return answer;
    });
    await save();
    expect(useNotices.getState().list.map(({ head }) => head)).toEqual(["dome was saved elsewhere."]);
  });

  test("a save of somebody else is told to the tab that shows it", async () => {
    folder();
    useWorkspace.getState().open(emptyDocument());
    await save(undefined, "dome");
    workflowChanged("dome", '"1"');
    workflowChanged("other", '"9"');
    expect(useNotices.getState().list).toEqual([]);
    workflowChanged("dome", '"2"');
    expect(useNotices.getState().list.map(({ head }) => head)).toEqual(["dome was saved elsewhere."]);
  });
});

describe("drafts", () => {
  test("what was open is open again, with what was not saved", async () => {
    const stop = watchDrafts();
    useWorkspace.getState().open(emptyDocument());
    add();
    const first = tabOf()?.id ?? "";
    useWorkspace.getState().open(theirs, { name: "dome", etag: '"1"', text: documentText(theirs) });
    useWorkspace.getState().setSeedPolicy("a.seed", "random");
    useWorkspace.getState().choose(first);
    await keepNow();
    stop();
    useWorkspace.setState({ tabs: [], current: null });
    expect(await restoreDrafts()).toBe(2);
    const { tabs, current, ready } = useWorkspace.getState();
    expect([tabs.map(({ title, unsaved }) => [title, unsaved]), current, ready]).toEqual([[["untitled", true], ["dome", false]], first, true]);
    expect(tabs[0]?.history.document.nodes).toMatchObject({ blur: { type: "blur" } });
    expect(tabs[1]?.seeds.get("a.seed")).toBe("random");
  });

  test("a closed tab leaves none", async () => {
    const stop = watchDrafts();
    const id = useWorkspace.getState().open(emptyDocument());
    await keepNow();
    expect(await drafts()).toHaveLength(1);
    useWorkspace.getState().close(id);
    await keepNow();
    await vi.waitFor(async () => expect(await drafts()).toHaveLength(0));
    stop();
  });

  test("numbers come back as they were written", async () => {
    const stop = watchDrafts();
    const read = parseDocument('{"weft": 1, "nodes": {"a": {"type": "x", "inputs": {"v": 1.0, "w": 12345678901234567890}}}}');
    if (!("document" in read)) throw new Error(read.problem);
    useWorkspace.getState().open(read.document);
    await keepNow();
    stop();
    expect((await drafts())[0]?.text).toContain('{"v": 1.0, "w": 12345678901234567890}');
  });
});
