/** A server in a few lines, for tests of the stores: it answers what a test says, and notes what it was asked. */
import { vi } from "vitest";
import type { Job, Plan } from "../src/service/types";

export interface Asked {
  readonly method: string;
  readonly path: string;
  readonly body: unknown;
  readonly headers: Record<string, string>;
}

export interface FakeServer {
  readonly asked: Asked[];
  /** No answer at all. */
  gone: boolean;
  plan: (asked: Asked) => Plan | Promise<Plan>;
  /** Answers by `METHOD /path`, before all else. */
  readonly answers: Map<string, (asked: Asked) => Response | Promise<Response>>;
  of(path: string): Asked[];
}

export function jobOf(id: string, more: Partial<Job> = {}): Job {
  return {
    id,
    state: "queued",
    title: "",
    tags: [],
    priority: 0,
    position: 0,
    slot: null,
    created: 1,
    started: null,
    finished: null,
    attempts: 0,
    progress: { done: 0, cached: 0, of: 0 },
    seconds: null,
    ran: null,
    cached: 0,
    outputs: [],
    error: null,
    ...more,
  };
}

export function fakeServer(): FakeServer {
  let count = 0;
  const byKey = new Map<string, Job>();
  const server: FakeServer = {
    asked: [],
    gone: false,
    plan: () => ({ problems: [], nodes: {}, seconds: 0 }),
    answers: new Map(),
    of: (path) => server.asked.filter((item) => item.path === path),
  };
  vi.stubGlobal("fetch", async (address: string, init: RequestInit = {}) => {
    const path = address.replace("/api/v1", "");
    const headers = (init.headers ?? {}) as Record<string, string>;
    const body: unknown = typeof init.body === "string" ? JSON.parse(init.body) : init.body;
    const asked = { method: init.method ?? "GET", path, body, headers };
    if (server.gone) throw new TypeError("Failed to fetch");
    server.asked.push(asked);
    const answer = server.answers.get(`${asked.method} ${path}`);
    if (answer) return answer(asked);
    if (path === "/plan") return Response.json(await server.plan(asked));
    if (path === "/jobs" && asked.method === "POST") {
      const key = headers["idempotency-key"] ?? "";
      const job = byKey.get(key) ?? jobOf(`job-${(count += 1)}`, { slot: (body as { slot?: string }).slot ?? null });
      byKey.set(key, job);
      return Response.json(job, { status: 202 });
    }
    const cancelled = /^\/jobs\/([^/]+)\/cancel$/.exec(path)?.[1];
    if (cancelled) return Response.json(jobOf(cancelled, { state: "cancelled", finished: 2 }));
    return Response.json(path === "/workflows" ? [] : {});
  });
  return server;
}

/** Lets everything that waits for nothing but its turn come to its end. */
export async function settle(): Promise<void> {
  for (let round = 0; round < 20; round += 1) await Promise.resolve();
}
