import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { type FakeServer, fakeServer, settle } from "../../tests/fake-server";
import { keepAskingNodes, refreshAll, refreshNodes, useCatalogue } from "./catalogue";
import { useConnection } from "./connection";
import { useNotices } from "./notices";

const TYPE = { name: "blur", version: 1, category: "", summary: "", help: "", inputs: [], outputs: [], output: false, resource: "", cache: "pure", tags: [], origin: "" };
const nodes = (etag: string) => Response.json([TYPE], { headers: { etag } });
const empty = useCatalogue.getState();
let server: FakeServer;

beforeEach(() => {
  vi.useFakeTimers();
  server = fakeServer();
  server.answers.set("GET /models", () => Response.json([{ name: "m" }]));
  useCatalogue.setState(empty, true);
  useNotices.setState({ list: [] });
  useConnection.setState({ state: "connected" });
});
afterEach(() => vi.useRealTimers());

const seconds = async (count: number) => {
  await vi.advanceTimersByTimeAsync(count * 1000);
  await settle();
};
const shown = () => useNotices.getState().list.map(({ head }) => head);

test("node types that do not come twice are asked for until they do; the rest comes meanwhile", async () => {
  let asked = 0;
  server.answers.set("GET /nodes", () => {
    asked += 1;
    if (asked === 1) throw new TypeError("Failed to fetch");
    return asked === 2 ? new Response("[{", { status: 200 }) : nodes('"a"');
  });
  await refreshAll();
  expect(useCatalogue.getState().models).toEqual([{ name: "m" }]);
  expect(shown()).toEqual(["The node types did not come."]);
  await seconds(0.6);
  expect(asked).toBe(2);
  expect(useCatalogue.getState().catalogue).toBeNull();
  await seconds(0.6);
  expect(asked).toBe(2); // it waits longer
  await seconds(0.6);
  expect(asked).toBe(3);
  expect(useCatalogue.getState().catalogue?.get("blur")).toBeDefined();
  expect(shown()).toEqual([]);
  await seconds(100);
  expect(asked).toBe(3);
});

test("who asks at once hears one answer, and one waiting follows a no", async () => {
  server.answers.set("GET /nodes", () => new Response("", { status: 503 }));
  await Promise.all([keepAskingNodes(), keepAskingNodes()]);
  expect(server.of("/nodes")).toHaveLength(1);
  await seconds(0.6);
  expect(server.of("/nodes")).toHaveLength(2);
  useNotices.getState().list[0]?.actions?.[0]?.run();
  await settle();
  expect(server.of("/nodes")).toHaveLength(3);
  useConnection.setState({ state: "lost" });
  await seconds(100);
  expect(server.of("/nodes")).toHaveLength(3); // all is asked when the connection is back
});

test("a token is asked for only once", async () => {
  server.answers.set("GET /nodes", () => Response.json({ code: "token" }, { status: 401 }));
  await expect(refreshAll()).rejects.toMatchObject({ status: 401 });
  await seconds(100);
  expect(server.of("/nodes")).toHaveLength(1);
  expect(shown()).toEqual([]);
});

test("a server that was started again has other node types, and the etag of before is no hindrance", async () => {
  let now = '"a"';
  server.answers.set("GET /nodes", ({ headers }) => (headers["if-none-match"] === now ? new Response(null, { status: 304 }) : nodes(now)));
  await refreshNodes();
  const first = useCatalogue.getState().catalogue;
  await refreshNodes();
  expect(useCatalogue.getState().catalogue).toBe(first);
  now = '"b"';
  await refreshNodes();
  expect(useCatalogue.getState().catalogue).not.toBe(first);
  expect(useCatalogue.getState().catalogue?.etag).toBe('"b"');
});
