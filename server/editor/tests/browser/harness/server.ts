/** A real `weft serve` in a folder of its own. */
import { type ChildProcess, spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { createInterface } from "node:readline";

const ROOT = resolve(import.meta.dirname, "../../../../..");
const PYTHON = process.env["PYTHON"] ?? join(ROOT, ".venv/bin/python");

export interface ServerOptions {
  /** More words of the command line. */
  readonly more?: readonly string[];
  /** Folders of its data; without it a new one, which goes with the server. */
  readonly data?: string;
  readonly port?: number;
}

export class WeftServer {
  /** Without a slash at its end. */
  url = "";
  port = 0;
  readonly data: string;
  readonly #more: readonly string[];
  readonly #ownFolder: boolean;
  #process: ChildProcess | null = null;
  #log: string[] = [];

  private constructor(options: ServerOptions) {
    this.#more = options.more ?? [];
    this.#ownFolder = options.data === undefined;
    this.data = options.data ?? mkdtempSync(join(tmpdir(), "weft-browser-"));
    this.port = options.port ?? 0;
  }

  static async start(options: ServerOptions = {}): Promise<WeftServer> {
    const server = new WeftServer(options);
    await server.#spawn();
    return server;
  }

  /** What it wrote to its log, for a test that failed. */
  get log(): string {
    return this.#log.join("\n");
  }

  /** Ends it as a power cut would: no word is said, nothing is tidied. */
  async kill(): Promise<void> {
    await this.#end("SIGKILL");
  }

  /** Starts it again at the same address with the same data. */
  async restart(): Promise<void> {
    await this.#end("SIGKILL");
    await this.#spawn();
  }

  /** Asks it as any client may. */
  async ask<T>(path: string, body?: unknown, method = body === undefined ? "GET" : "POST"): Promise<T> {
    const answer = await fetch(`${this.url}/api/v1/${path}`, {
      method,
      ...(body !== undefined && { headers: { "Content-Type": "application/json" }, body: typeof body === "string" ? body : JSON.stringify(body) }),
    });
    if (!answer.ok) throw new Error(`${method} ${path}: ${answer.status} ${await answer.text()}`);
    return (await answer.json()) as T;
  }

  async stop(): Promise<void> {
    await this.#end("SIGTERM");
    if (this.#ownFolder) rmSync(this.data, { recursive: true, force: true });
  }

  async #spawn(): Promise<void> {
    const program = "from weft.server.cli.app import main; main()";
    const words = ["-c", program, "serve", "--port", String(this.port), "--no-open", "--data", this.data, ...this.#more];
    // A group of its own: its workers end with it.
    const child = spawn(PYTHON, words, {
      cwd: ROOT,
      detached: true,
      env: { ...process.env, PYTHONPATH: ROOT, OMP_NUM_THREADS: "1" },
      stdio: ["ignore", "pipe", "pipe"],
    });
    this.#process = child;
    createInterface({ input: child.stderr }).on("line", (line) => {
      this.#log.push(line);
      if (this.#log.length > 400) this.#log.shift();
    });
    const address = await new Promise<string>((done, fail) => {
      const late = setTimeout(() => fail(new Error(`weft serve did not start within 60 s.\n${this.log}`)), 60_000);
      createInterface({ input: child.stdout }).on("line", (line) => {
        if (!line.startsWith("http")) return;
        clearTimeout(late);
        done(line.trim());
      });
      child.once("error", fail);
      child.once("exit", (code) => {
        clearTimeout(late);
        fail(new Error(`weft serve ended with ${code}.\n${this.log}`));
      });
    });
    this.url = new URL(address).origin;
    this.port = Number(new URL(address).port);
  }

  async #end(signal: NodeJS.Signals): Promise<void> {
    const child = this.#process;
    this.#process = null;
    if (!child?.pid || child.exitCode !== null || child.signalCode !== null) return;
    const gone = new Promise<void>((done) => child.once("exit", () => done()));
    const group = -child.pid;
    try {
      process.kill(signal === "SIGKILL" ? group : child.pid, signal);
    } catch {
      return;
    }
    const late = setTimeout(() => {
      try {
        process.kill(group, "SIGKILL");
      } catch {
        // It has just ended.
      }
    }, 10_000);
    await gone;
    clearTimeout(late);
  }
}
