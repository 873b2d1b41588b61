import "fake-indexeddb/auto";
import { beforeEach, expect, test } from "vitest";
import { closeDrafts, type Draft, drafts, dropDraft, dropPost, posts, saveDraft, savePost } from "./drafts";

const draft = (id: string, place: number, more: Partial<Draft> = {}): Draft => ({
  id,
  name: null,
  text: "{}",
  saved: null,
  jobs: [],
  seeds: [["denoise.seed", "next"]],
  view: "graph",
  place,
  current: false,
  changed: 1,
  owner: "me",
  ...more,
});

beforeEach(async () => {
  for (const { id } of await drafts()) await dropDraft(id);
});

test("drafts outlive the connection, in the order of their tabs", async () => {
  await saveDraft(draft("b", 1));
  await saveDraft(draft("a", 0));
  await saveDraft(draft("b", 1, { text: "newer" }));
  await closeDrafts();
  expect((await drafts()).map(({ id, text }) => [id, text])).toEqual([["a", "{}"], ["b", "newer"]]);
  await dropDraft("a");
  expect((await drafts()).map(({ id }) => id)).toEqual(["b"]);
});

test("runs that wait for the server are kept in their order", async () => {
  await savePost({ key: "2", tab: "a", body: "{}", time: 2 });
  await savePost({ key: "1", tab: "a", body: "{}", time: 1 });
  expect((await posts()).map(({ key }) => key)).toEqual(["1", "2"]);
  await dropPost("1");
  expect((await posts()).map(({ key }) => key)).toEqual(["2"]);
});
