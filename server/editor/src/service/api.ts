/** The server's interface, a function per question. */
import type { NodeType } from "../catalogue/types";
import { jsonText, readJson } from "../document/json";
import type { Json } from "../document/types";
import { Unreachable } from "./refused";
import { ask, askJson, ROOT } from "./request";
import { upload } from "./upload";
import type {
  Cause,
  Example,
  Imported,
  Job,
  JobEvent,
  JobRequest,
  JobState,
  Listed,
  ListedOutput,
  ModelInfo,
  Plan,
  Problem,
  Queue,
  System,
  Uploaded,
  Version,
  Why,
} from "./types";

const one = encodeURIComponent;

/** An answer with its etag; null where the one we have is still right. */
export interface Fresh<T> {
  readonly value: T;
  readonly etag: string;
}

async function fresh<T>(path: string, etag?: string | null): Promise<Fresh<T> | null> {
  const answer = await ask(path, etag ? { headers: { "if-none-match": etag } } : {});
  if (answer.status === 304) return null;
  try {
    return { value: (await answer.json()) as T, etag: answer.headers.get("etag") ?? "" };
  } catch (error) {
    throw new Unreachable(error); // half an answer
  }
}

/** A request's body around the text of a workflow. */
export function bodyOf(workflow: string, rest: Omit<JobRequest, "workflow">): string {
  const text = JSON.stringify(rest);
  return `{"workflow": ${workflow}${text === "{}" ? "" : ", "}${text.slice(1)}`;
}

export const api = {
  /** Whether the server answers at all. */
  alive: async (): Promise<boolean> => {
    try {
      return (await fetch("/healthz", { cache: "no-store", signal: AbortSignal.timeout(5000) })).ok;
    } catch {
      return false;
    }
  },
  nodes: (etag?: string | null) => fresh<NodeType[]>("/nodes", etag),
  models: () => askJson<ModelInfo[]>("/models"),
  system: () => askJson<System>("/system"),

  /** What a run would do. A workflow is given as its text: numbers keep their form (`1.0` is no integer). */
  plan: (workflow: string, targets: readonly string[] = [], signal?: AbortSignal) =>
    askJson<Plan>("/plan", { method: "POST", text: bodyOf(workflow, { targets }), ...(signal && { signal }) }),
  check: (workflow: string, signal?: AbortSignal) =>
    askJson<{ problems: Problem[] }>("/check", { method: "POST", text: bodyOf(workflow, {}), ...(signal && { signal }) }),

  /** Why a node of a workflow would run now. */
  why: (workflow: string, node: string) =>
    askJson<Why>("/why", { method: "POST", text: `{"workflow": ${workflow}, "node": ${JSON.stringify(node)}}` }),
  /** Why each node of a job ran, or did not. */
  jobWhy: (id: string) =>
    askJson<{ nodes: { [node: string]: { ran: boolean; text: string; causes: Cause[] } } }>(`/jobs/${one(id)}/why`),
  /** A workflow as a Python program. */
  python: async (workflow: string): Promise<string> =>
    (await askJson<{ python: string }>("/python", { method: "POST", text: bodyOf(workflow, {}) })).python,

  /** Queues a job. `key` makes a repeated call with the same body give the same job. */
  run: (body: string, key?: string) =>
    askJson<Job>("/jobs", { method: "POST", text: body, ...(key && { headers: { "idempotency-key": key } }) }),
  jobs: (query: { state?: JobState; tag?: string; limit?: number; cursor?: string | null } = {}) =>
    askJson<{ jobs: Job[]; next: string | null }>("/jobs", { query }),
  job: (id: string) => askJson<Job>(`/jobs/${one(id)}`),
  /** The text of the document that a job ran. */
  jobWorkflow: async (id: string): Promise<string> => (await ask(`/jobs/${one(id)}/workflow`)).text(),
  jobEvents: (id: string, since = 0) => askJson<{ events: JobEvent[] }>(`/jobs/${one(id)}/events`, { query: { since } }),
  cancel: (id: string) => askJson<Job>(`/jobs/${one(id)}/cancel`, { method: "POST" }),
  retry: (id: string) => askJson<Job>(`/jobs/${one(id)}/retry`, { method: "POST" }),
  moveJob: (id: string, to: { priority: number } | { before: string }) =>
    askJson<Job>(`/jobs/${one(id)}`, { method: "PATCH", json: to }),
  deleteJob: async (id: string): Promise<void> => void (await ask(`/jobs/${one(id)}`, { method: "DELETE" })),
  queue: () => askJson<Queue>("/queue"),
  pause: (paused: boolean) => askJson<Queue>(paused ? "/queue/pause" : "/queue/resume", { method: "POST" }),

  /** Which names in the types of ports go together. */
  types: () => askJson<{ [name: string]: { fits: string[] } }>("/types"),
  examples: () => askJson<Example[]>("/examples"),
  /** The text of an example, as it is written. */
  example: async (name: string): Promise<string> => (await ask(`/examples/${one(name)}`)).text(),
  workflows: () => askJson<Listed[]>("/workflows"),
  /** The text of a saved workflow, with its etag. */
  workflow: async (name: string, version?: string): Promise<{ text: string; etag: string }> => {
    const answer = await ask(`/workflows/${one(name)}`, { query: { version } });
    return { text: await answer.text(), etag: answer.headers.get("etag") ?? "" };
  },
  versions: (name: string) => askJson<Version[]>(`/workflows/${one(name)}/versions`),
  /** Saves; `etag` is that of the one that was read, null for one that is not to be there yet. */
  save: (name: string, text: string, etag: string | null) =>
    askJson<Listed>(`/workflows/${one(name)}`, {
      method: "PUT",
      text,
      headers: etag === null ? { "if-none-match": "*" } : { "if-match": etag },
    }),
  deleteWorkflow: async (name: string, etag: string): Promise<void> =>
    void (await ask(`/workflows/${one(name)}`, { method: "DELETE", headers: { "if-match": etag } })),

  /** The workflow in a picture or in a document of another kind, as text. */
  import: async (bytes: Blob): Promise<Imported> => {
    const read = readJson(await (await ask("/import", { method: "POST", bytes })).text());
    if (!("value" in read)) throw new Unreachable(read);
    const said = read.value as { workflow: Json; notes: readonly string[] };
    return { text: jsonText(said.workflow), notes: said.notes };
  },
  /** Keeps a file on the server; told how much of it is sent, from 0 to 1. */
  upload: (bytes: Blob, onProgress?: (part: number) => void): Promise<Uploaded> => upload(bytes, onProgress),
  /** Where a file's bytes are; `size` gives a thumbnail. */
  fileUrl: (file: string, size?: number): string => `${ROOT}/files/${one(file)}${size ? `?size=${size}` : ""}`,
  outputs: (query: { limit?: number; cursor?: string | null; tag?: string } = {}) =>
    askJson<{ outputs: ListedOutput[]; next: string | null }>("/outputs", { query }),
  /** Changes the token for a cookie. */
  session: async (token: string): Promise<void> => void (await ask("/session", { method: "POST", json: { token } })),
};

export type Api = typeof api;
