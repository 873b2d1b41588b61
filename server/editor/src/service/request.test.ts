import { afterEach, describe, expect, test, vi } from "vitest";
import { api, bodyOf } from "./api";
import { Refused, Unreachable } from "./refused";

afterEach(() => void vi.unstubAllGlobals());

function answering(answer: () => Response | Promise<Response>) {
  const asked: [string, RequestInit][] = [];
  vi.stubGlobal("fetch", (address: string, init: RequestInit) => {
    asked.push([address, init]);
    return Promise.resolve(answer());
  });
  return asked;
}

describe("requests", () => {
  test("a refusal has its code and every problem", async () => {
    const problems = [{ severity: "error", code: "bad_value", node: "a", input: "b", message: "No." }];
    const body = { status: 422, code: "invalid_workflow", detail: "One problem.", problems };
    answering(() => new Response(JSON.stringify(body), { status: 422 }));
    const error = await api.run("{}").catch((caught: unknown) => caught);
    expect(error).toBeInstanceOf(Refused);
    expect(error).toMatchObject({ status: 422, code: "invalid_workflow", message: "One problem.", problems });
  });

  test("silence, half an answer and a proxy that reaches nobody are no answer", async () => {
    vi.stubGlobal("fetch", () => Promise.reject(new TypeError("Failed to fetch")));
    await expect(api.queue()).rejects.toBeInstanceOf(Unreachable);
    answering(() => new Response('{"paused": fa', { status: 200 }));
    await expect(api.queue()).rejects.toBeInstanceOf(Unreachable);
    answering(() => new Response("<h1>Bad gateway</h1>", { status: 502 }));
    await expect(api.queue()).rejects.toBeInstanceOf(Unreachable);
  });

  test("when it may be tried again is told", async () => {
    answering(() => new Response("{}", { status: 503, headers: { "retry-after": "7" } }));
    await expect(api.queue()).rejects.toMatchObject({ status: 503, retryAfter: 7 });
  });

  test("numbers of a workflow keep their form on the way", async () => {
    const asked = answering(() => Response.json({ problems: [] }));
    await api.plan('{"weft": 1, "nodes": {"a": {"inputs": {"x": 1.0}}}}', ["a"]);
    expect(asked[0]?.[1].body).toBe('{"workflow": {"weft": 1, "nodes": {"a": {"inputs": {"x": 1.0}}}}, "targets":["a"]}');
    expect(bodyOf("{}", {})).toBe('{"workflow": {}}');
  });

  test("names go into addresses as they are written, and cannot leave them", async () => {
    const asked = answering(() => new Response("{}", { headers: { etag: '"1"' } }));
    await api.workflow("my dome/../x?y");
    expect(asked[0]?.[0]).toBe("/api/v1/workflows/my%20dome%2F..%2Fx%3Fy");
  });

  test("saving says what was read, or that there is to be none", async () => {
    const asked = answering(() => Response.json({ name: "a", title: "", modified: 0, etag: '"2"' }));
    await api.save("a", "{}", '"1"');
    await api.save("a", "{}", null);
    expect(asked.map(([, init]) => init.headers)).toMatchObject([{ "if-match": '"1"' }, { "if-none-match": "*" }]);
  });

  test("the node types are not read again where they are the same", async () => {
    answering(() => new Response(null, { status: 304 }));
    expect(await api.nodes('"1"')).toBeNull();
  });
});
