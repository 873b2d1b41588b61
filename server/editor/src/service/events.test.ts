import { encode } from "@msgpack/msgpack";
import { describe, expect, test } from "vitest";
import { Connection, type Socket, type Surroundings } from "./events";
import type { Preview, ServerEvent } from "./types";

class FakeSocket implements Socket {
  binaryType = "";
  onopen: (() => void) | null = null;
  onclose: ((event: { code: number }) => void) | null = null;
  onmessage: ((event: { data: unknown }) => void) | null = null;
  readonly sent: { since: Record<string, number>; jobs: unknown }[] = [];
  closed = false;
  send(text: string): void {
    this.sent.push((JSON.parse(text) as { subscribe: { since: Record<string, number>; jobs: unknown } }).subscribe);
  }
  close(): void {
    this.closed = true;
  }
}

function world(random = 1) {
  const sockets: FakeSocket[] = [];
  const timers: { work: () => void; at: number; stopped: boolean }[] = [];
  let now = 0;
  let alive = true;
  const around: Surroundings = {
    open: () => {
      const socket = new FakeSocket();
      sockets.push(socket);
      return socket;
    },
    now: () => now,
    later: (work, milliseconds) => {
      const timer = { work, at: now + milliseconds, stopped: false };
      timers.push(timer);
      return () => void (timer.stopped = true);
    },
    random: () => random,
    alive: () => Promise.resolve(alive),
  };
  const connection = new Connection("ws://here/", around);
  const events: ServerEvent[] = [];
  const previews: Preview[] = [];
  const states: [string, number | null][] = [];
  connection.listen({
    event: (event) => void events.push(event),
    preview: (preview) => void previews.push(preview),
    state: (state, retryAt) => void states.push([state, retryAt]),
  });
  const pass = async (milliseconds: number) => {
    now += milliseconds;
    for (const timer of [...timers]) {
      if (timer.stopped || timer.at > now) continue;
      timer.stopped = true;
      timer.work();
    }
    await Promise.resolve();
    await Promise.resolve();
  };
  const last = () => sockets.at(-1) as FakeSocket;
  const say = (job: string, state: number, event = "node_started") =>
    last().onmessage?.({ data: JSON.stringify({ event, job, state, node: "a", time: 1 }) });
  return { connection, sockets, events, previews, states, pass, last, say, die: () => void (alive = false) };
}

const numbers = (events: ServerEvent[]) => events.map((event) => ("state" in event ? event.state : event.event));

describe("the connection", () => {
  test("applies each state event once, whatever comes again", () => {
    const { connection, events, last, say } = world();
    connection.start();
    last().onopen?.();
    for (const state of [0, 1, 1, 0, 2]) say("j", state);
    expect(numbers(events)).toEqual([0, 1, 2]);
  });

  test("asks for what lies between, once, and takes it in its order", () => {
    const { connection, events, last, say } = world();
    connection.start();
    last().onopen?.();
    say("j", 3);
    say("j", 4);
    expect(last().sent.slice(1)).toEqual([{ jobs: "all", since: { j: 0 }, previews: true, queue: true }]);
    for (const state of [0, 1, 2, 3, 4]) say("j", state);
    expect(numbers(events)).toEqual([0, 1, 2, 3, 4]);
  });

  test("comes back with what it has seen, later each time and never past 15 s", async () => {
    const { connection, events, states, sockets, pass, last, say } = world();
    connection.start();
    last().onopen?.();
    connection.follow("known", 7);
    say("j", 0);
    say("j", 1);
    last().onclose?.({ code: 1006 });
    expect(states.at(-1)).toEqual(["lost", 500]);
    const waits: number[] = [];
    for (let round = 0; round < 8; round += 1) {
      const retryAt = states.at(-1)?.[1] ?? 0;
      await pass(retryAt - (connection.retryAt ?? 0) + 1e6);
      waits.push(sockets.length);
      last().onclose?.({ code: 1006 });
    }
    expect(waits).toEqual([2, 3, 4, 5, 6, 7, 8, 9]);
    await pass(1e6);
    last().onopen?.();
    expect(last().sent[0]?.since).toEqual({ known: 7, j: 2 });
    say("j", 1);
    say("j", 2);
    expect(numbers(events)).toEqual([0, 1, 2]);
  });

  test("waits between half of the time and all of it, and tries now when asked", () => {
    for (const [random, delay] of [[0, 250], [1, 500]] as const) {
      const { connection, last, sockets } = world(random);
      connection.start();
      last().onclose?.({ code: 1006 });
      expect(connection.retryAt).toBe(delay);
      connection.tryNow();
      expect(sockets).toHaveLength(2);
      expect(connection.retryAt).toBe(null);
    }
  });

  test("a socket that neither opens nor closes is given up after a while", async () => {
    const { connection, sockets, states, last, pass } = world();
    connection.start();
    last().onopen?.();
    last().onclose?.({ code: 1006 });
    await pass(500);
    expect([sockets.length, connection.retryAt]).toEqual([2, null]);
    const hung = last();
    await pass(10_000);
    expect([hung.closed, connection.state]).toEqual([true, "lost"]);
    expect(connection.retryAt).toBeGreaterThan(10_000);
    await pass(15_000);
    expect(sockets).toHaveLength(3);
    hung.onopen?.();
    expect(connection.state).toBe("lost");
    last().onopen?.();
    expect(states.at(-1)).toEqual(["connected", null]);
    await pass(10_000);
    expect([last().closed, connection.state]).toEqual([false, "connected"]);
  });

  test("trying now takes a new socket in the place of one that hangs, and no wait goes on beside it", async () => {
    const { connection, sockets, last, pass } = world();
    connection.start();
    last().onopen?.();
    last().onclose?.({ code: 1006 });
    connection.tryNow();
    const hung = last();
    connection.tryNow();
    expect([sockets.length, hung.closed]).toEqual([3, true]);
    last().onopen?.();
    expect(connection.state).toBe("connected");
    await pass(15_000);
    connection.tryNow();
    expect([sockets.length, connection.state]).toEqual([3, "connected"]);
  });

  test("a frame that comes while the server is asked whether it lives keeps the socket", async () => {
    const { connection, last, pass, die, say } = world();
    connection.start();
    last().onopen?.();
    die();
    const asked = pass(20_000);
    say("j", 0);
    await asked;
    expect([connection.state, last().closed]).toEqual(["connected", false]);
  });

  test("gives up a socket that is dead without knowing it", async () => {
    const { connection, last, pass, die } = world();
    connection.start();
    last().onopen?.();
    await pass(20_000);
    expect(connection.state).toBe("connected");
    die();
    const socket = last();
    await pass(20_000);
    expect([connection.state, socket.closed]).toEqual(["lost", true]);
  });

  test("reads previews, and drops what is none", async () => {
    const { connection, previews, last } = world();
    connection.start();
    last().onopen?.();
    const frame = { v: 1, event: "node_preview", job: "j", node: "a", seq: 1, mime: "image/png", width: 1, height: 1 };
    const send = (data: Uint8Array) => last().onmessage?.({ data: data.slice().buffer });
    send(encode({ ...frame, data: new Uint8Array([1, 2]) }));
    send(encode({ ...frame, v: 2, data: new Uint8Array([1]) }));
    send(encode({ ...frame, data: "text" }));
    send(new Uint8Array([0xc1, 0xff]));
    last().onmessage?.({ data: "no JSON" });
    last().onmessage?.({ data: "null" });
    await expect.poll(() => previews.length).toBe(1);
    expect(previews.map(({ data }) => [...data])).toEqual([[1, 2]]);
  });

  test("a job by the name of what every object has is a job", () => {
    const { connection, events, last, say } = world();
    connection.start();
    last().onopen?.();
    for (const job of ["__proto__", "constructor"]) say(job, 0);
    connection.follow("__proto__", 5);
    expect(JSON.stringify(last().sent.at(-1)?.jobs)).toBe('"all"');
    expect(events).toHaveLength(2);
  });
});
