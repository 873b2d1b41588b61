/** What the server says and is told, as docs/server.md and docs/events.md have it. */
import type { Json } from "../document/types";

/** One thing that is wrong with a workflow. */
export interface Problem {
  readonly severity: "error" | "warning";
  readonly code: string;
  /** Id of the node; of one inside a definition `use/node`; null for the whole document. */
  readonly node: string | null;
  readonly input: string | null;
  readonly message: string;
  readonly given?: Json;
  readonly expected?: Json;
  readonly suggestion?: string | null;
}

export type JobState = "queued" | "running" | "done" | "failed" | "cancelled";

/** Something that a job made; what does not apply is absent. */
export interface Output {
  readonly node: string;
  readonly kind: "image" | "file" | "value";
  readonly name?: string;
  /** A content id: `sha256:` and 64 hex digits. */
  readonly file?: string;
  readonly mime?: string;
  readonly bytes?: number;
  readonly width?: number;
  readonly height?: number;
  readonly value?: Json;
}

/** An output of any job, as `GET /outputs` lists them. */
export interface ListedOutput extends Output {
  readonly job: string;
  readonly finished: number;
}

/** What went wrong in a run. */
export interface Fault {
  readonly node: string;
  readonly type: string;
  readonly exception: string;
  readonly message: string;
  readonly traceback: string;
  readonly code?: string;
  readonly problems?: readonly Problem[];
}

/** Times are seconds since 1970. */
export interface Job {
  readonly id: string;
  readonly state: JobState;
  readonly title: string;
  readonly tags: readonly string[];
  readonly priority: number;
  readonly position: number | null;
  readonly slot: string | null;
  readonly created: number;
  readonly started: number | null;
  readonly finished: number | null;
  readonly attempts: number;
  readonly progress: { readonly done: number; readonly cached: number; readonly of: number };
  readonly seconds: number | null;
  readonly ran: number | null;
  readonly cached: number;
  readonly outputs: readonly Output[];
  readonly error: Fault | null;
}

/** What is told with a job; `workflow` or `saved`. */
export interface JobRequest {
  readonly workflow?: string;
  readonly saved?: string;
  readonly set?: { readonly [name: string]: Json };
  readonly targets?: readonly string[];
  readonly priority?: number;
  readonly title?: string;
  readonly tags?: readonly string[];
  readonly slot?: string | null;
}

/** What a run would do with a node now. */
export interface PlanNode {
  readonly will: "run" | "resume" | "cached" | "skip" | "unknown";
  readonly reason?: string;
  readonly tier?: "memory" | "disk" | "unneeded";
  readonly steps?: number;
  readonly of?: number;
  readonly seconds?: number;
  readonly items?: number;
  readonly items_cached?: number;
  readonly steers?: boolean;
  /** It writes files, and so runs in each job, even where it writes what it wrote before. */
  readonly writes?: boolean;
  /** Found by the planner: it would only write what it wrote before. */
  readonly rewrites?: boolean;
  /** In what it differs from its nearest earlier result, where that is known. */
  readonly why?: readonly Change[];
}

export interface Plan {
  readonly problems: readonly Problem[];
  readonly nodes?: { readonly [id: string]: PlanNode };
  readonly counts?: { readonly [will: string]: number };
  readonly seconds?: number | null;
}

export interface Worker {
  readonly worker: number;
  readonly alive: boolean;
  readonly job: string | null;
  readonly jobs: number;
  readonly deaths: number;
  readonly models: readonly string[];
}

export interface Queue {
  readonly paused: boolean;
  readonly queued: number;
  readonly running: number;
  readonly workers?: readonly Worker[];
}

/** A saved workflow. */
export interface Listed {
  readonly name: string;
  readonly title: string;
  readonly modified: number;
  readonly etag: string;
  readonly problem?: string | null;
}

export interface Version extends Listed {
  readonly version: string;
}

export interface Example {
  readonly name: string;
  readonly title: string;
  readonly description: string;
  readonly image: string | null;
}

export interface ModelInfo {
  readonly name: string;
  readonly kind: string;
  readonly family: string;
  readonly bytes: number;
  readonly bundled?: boolean;
  readonly fault?: string;
}

export interface System {
  readonly weft: string | null;
  readonly versions: { readonly [name: string]: string | null };
  readonly python: string;
  readonly platform: string;
  readonly workers: readonly Worker[];
  readonly devices: readonly { readonly name: string; readonly kind: string; readonly free?: number; readonly total?: number }[];
  readonly cache: { readonly results: number; readonly bytes: number; readonly max_bytes: number | null };
  readonly disk: { readonly free: number; readonly needed: number };
  readonly clients: number;
}

/** An uploaded file. */
export interface Uploaded {
  readonly file: string;
  readonly mime: string;
  readonly bytes: number;
  readonly width?: number;
  readonly height?: number;
}

export interface Imported {
  /** The workflow's JSON. */
  readonly text: string;
  readonly notes: readonly string[];
}

/** What differs from a node's last run (docs/cache.md). */
export interface Change {
  readonly what: "input" | "upstream" | "version" | "code" | "file" | "folder" | "fingerprint" | "always";
  readonly input?: string;
  readonly source?: string;
  readonly was?: string;
  readonly now?: string;
  /** In words; events have none. */
  readonly text?: string;
}

/** A change, the node that it is at, and the nodes on the way down from there. */
export interface Cause extends Change {
  readonly node: string;
  readonly through: readonly string[];
}

/** Why a node would run, or had to where it is cached. */
export interface Why {
  readonly node: string;
  readonly state: "cached" | "changed" | "gone" | "new" | "always" | "unknown";
  /** In words, a line for each cause. */
  readonly text: string;
  readonly causes: readonly Cause[];
  readonly files: readonly string[];
  readonly compared: string | null;
}

/** An event of a job. Those that are stored have `state`, which counts them without gaps. */
export interface JobEvent {
  readonly event: string;
  readonly seq?: number;
  readonly time: number;
  readonly job: string;
  readonly node: string | null;
  readonly state?: number;
  readonly nodes?: number;
  readonly why?: readonly Change[];
  readonly step?: number;
  readonly total?: number;
  readonly message?: string;
  readonly steps?: number;
  readonly tier?: "memory" | "disk" | "unneeded";
  readonly attempt?: number;
  readonly of?: number;
  readonly error?: Fault;
  readonly reason?: string;
  readonly failed?: boolean;
  readonly item?: number | null;
  readonly seconds?: number;
  readonly imports?: number;
  readonly kind?: string;
  readonly ref?: string;
  readonly name?: string;
  readonly ran?: number;
  readonly cached?: number;
  readonly reused?: number;
  readonly worker?: number;
  readonly data?: Json;
}

export type ServerEvent =
  | JobEvent
  | ({ readonly event: "queue" } & Queue)
  | { readonly event: "catalogue" }
  | { readonly event: "workflow"; readonly name: string; readonly etag: string | null };

/** A picture of how far a node is, as it comes on the websocket. */
export interface Preview {
  readonly job: string;
  readonly node: string;
  readonly seq: number;
  readonly mime: string;
  readonly width: number;
  readonly height: number;
  readonly data: Uint8Array;
}
