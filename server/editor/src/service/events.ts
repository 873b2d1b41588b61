/** What happens on the server, live: one websocket that comes back by itself and asks for what it missed. */
import type { JobEvent, Preview, ServerEvent } from "./types";

export type ConnectionState = "connecting" | "connected" | "lost";

/** What there is of the browser, so that tests can bring their own. */
export interface Surroundings {
  readonly open: (address: string) => Socket;
  readonly now: () => number;
  readonly later: (work: () => void, milliseconds: number) => () => void;
  readonly random: () => number;
  /** Whether the server answers; asked when nothing came for long. */
  readonly alive: () => Promise<boolean>;
}

export interface Socket {
  binaryType: string;
  onopen: (() => void) | null;
  onclose: ((event: { code: number }) => void) | null;
  onmessage: ((event: { data: unknown }) => void) | null;
  send(text: string): void;
  close(): void;
}

export interface Listener {
  /** An event in its turn; state events of a job come each once and without a gap. */
  event?(event: ServerEvent): void;
  preview?(preview: Preview): void;
  /** `retryAt`: when it is tried again (milliseconds since 1970), while it is lost. */
  state?(state: ConnectionState, retryAt: number | null): void;
}

const FIRST_DELAY = 500;
const LONGEST_DELAY = 15_000;
/** With no frame for so long, the server is asked whether it is there: a socket may be dead without knowing. */
const QUIET = 20_000;
/** A socket that did not open in this time will not: behind a proxy it may hang for as long as the page lives. */
const OPENING = 10_000;

export class Connection {
  state: ConnectionState = "connecting";
  retryAt: number | null = null;
  private socket: Socket | null = null;
  private readonly listeners = new Set<Listener>();
  /** The number of the next state event of each job that has not ended. */
  private readonly next = new Map<string, number>();
  /** Jobs whose missing events were asked for. */
  private readonly asked = new Map<string, number>();
  private failures = 0;
  private cancelRetry: (() => void) | null = null;
  private cancelWatch: (() => void) | null = null;
  private ended = false;

  constructor(
    private readonly address: string,
    private readonly around: Surroundings,
  ) {}

  listen(listener: Listener): () => void {
    this.listeners.add(listener);
    return () => void this.listeners.delete(listener);
  }

  /** Connects, and stays connected until `end`. */
  start(): void {
    this.ended = false;
    this.connect();
  }

  end(): void {
    this.ended = true;
    this.cancelRetry?.();
    this.giveUp();
  }

  /** Tries at once, where it would wait; an attempt that is under way and may hang is given up for a new one. */
  tryNow(): void {
    if (this.state === "connected" || this.ended) return;
    this.giveUp();
    this.connect();
  }

  /** Wants the events of a job from a number on; those before it are known already. */
  follow(job: string, from: number): void {
    const known = this.next.get(job);
    if (known !== undefined && known >= from) return;
    this.next.set(job, from);
    if (this.state === "connected") this.subscribe([job]);
  }

  /** The job has no more events. */
  forget(job: string): void {
    this.next.delete(job);
    this.asked.delete(job);
  }

  /** Nothing that comes of the present socket counts from now on. */
  private giveUp(): void {
    this.cancelWatch?.();
    this.cancelWatch = null;
    const socket = this.socket;
    this.socket = null;
    if (!socket) return;
    socket.onopen = null;
    socket.onclose = null;
    socket.onmessage = null;
    socket.close();
  }

  private connect(): void {
    this.cancelRetry?.();
    this.cancelRetry = null;
    this.retryAt = null;
    // What waits for the moment of the next attempt sees that it has come.
    if (this.state === "lost") this.become("lost");
    let socket: Socket;
    try {
      socket = this.around.open(this.address);
    } catch {
      this.lost();
      return;
    }
    this.socket = socket;
    this.cancelWatch?.();
    this.cancelWatch = this.around.later(() => {
      if (this.socket !== socket) return;
      this.giveUp();
      this.lost();
    }, OPENING);
    socket.binaryType = "arraybuffer";
    socket.onopen = () => {
      this.failures = 0;
      this.asked.clear();
      this.become("connected");
      this.subscribe([...this.next.keys()]);
      this.watch();
    };
    socket.onmessage = ({ data }) => {
      this.watch();
      if (typeof data === "string") this.take(data);
      else if (data instanceof ArrayBuffer) void this.takePreview(data);
    };
    socket.onclose = () => {
      if (this.socket !== socket) return;
      this.socket = null;
      this.lost();
    };
  }

  private lost(): void {
    this.cancelWatch?.();
    if (this.ended) return;
    // Up to twice as long each time, and never all pages at the same moment.
    const longest = Math.min(LONGEST_DELAY, FIRST_DELAY * 2 ** this.failures);
    const delay = longest * (0.5 + this.around.random() / 2);
    this.failures += 1;
    this.retryAt = this.around.now() + delay;
    this.cancelRetry = this.around.later(() => this.connect(), delay);
    this.become("lost");
  }

  private become(state: ConnectionState): void {
    this.state = state;
    for (const listener of this.listeners) listener.state?.(state, this.retryAt);
  }

  /** After a while without a frame the server is asked; when it does not answer, the socket is given up. */
  private watch(): void {
    this.cancelWatch?.();
    const socket = this.socket;
    const cancel = this.around.later(async () => {
      const alive = await this.around.alive();
      // A frame that came meanwhile says more than the answer.
      if (this.socket !== socket || socket === null || this.cancelWatch !== cancel) return;
      if (alive) {
        this.watch();
        return;
      }
      this.giveUp();
      this.lost();
    }, QUIET);
    this.cancelWatch = cancel;
  }

  private subscribe(jobs: readonly string[]): void {
    const since: Record<string, number> = Object.create(null) as Record<string, number>;
    for (const job of jobs.slice(-1000)) since[job] = this.next.get(job) ?? 0;
    this.socket?.send(JSON.stringify({ subscribe: { jobs: "all", since, previews: true, queue: true } }));
  }

  private take(text: string): void {
    let event: ServerEvent;
    try {
      event = JSON.parse(text) as ServerEvent;
    } catch {
      return;
    }
    if (typeof event?.event !== "string") return;
    if ("state" in event && typeof event.state === "number" && !this.inTurn(event, event.state)) return;
    for (const listener of this.listeners) listener.event?.(event);
  }

  /** Whether a state event is the job's next one. One too far ahead is dropped: it comes again with those before it. */
  private inTurn(event: JobEvent, state: number): boolean {
    const expected = this.next.get(event.job) ?? 0;
    if (state < expected) return false;
    if (state > expected) {
      if (this.asked.get(event.job) !== expected) {
        this.asked.set(event.job, expected);
        this.next.set(event.job, expected);
        this.subscribe([event.job]);
      }
      return false;
    }
    this.next.set(event.job, expected + 1);
    if (event.event === "job_finished" || event.event === "job_failed" || event.event === "job_cancelled") {
      this.asked.delete(event.job);
    }
    return true;
  }

  /** What reads previews comes with the first of them. */
  private async takePreview(data: ArrayBuffer): Promise<void> {
    let preview: Preview & { v: number };
    try {
      const { decode } = await import("./msgpack");
      preview = decode(new Uint8Array(data)) as Preview & { v: number };
    } catch {
      return;
    }
    if (preview.v !== 1 || !(preview.data instanceof Uint8Array)) return;
    for (const listener of this.listeners) listener.preview?.(preview);
  }
}

/** A connection of this page to its server. */
export function connectionHere(alive: () => Promise<boolean>): Connection {
  const address = `${location.protocol === "https:" ? "wss" : "ws"}://${location.host}/api/v1/ws`;
  return new Connection(address, {
    open: (where) => new WebSocket(where) as unknown as Socket,
    now: () => Date.now(),
    later: (work, milliseconds) => {
      const timer = setTimeout(work, milliseconds);
      return () => clearTimeout(timer);
    },
    random: Math.random,
    alive,
  });
}
