/** What the server tells a page, and what it knows afterwards. */
import type { Editor } from "./editor";
import type { Doc } from "./documents";
import { link } from "./documents";

export interface Told {
  readonly event: string;
  readonly job?: string;
  readonly node?: string;
  /** The number of a state event. */
  readonly state?: number;
  readonly [key: string]: unknown;
}

export interface JobSaid {
  readonly id: string;
  readonly state: string;
  readonly title: string;
  readonly slot: string | null;
  readonly cached: number;
  readonly ran: number | null;
  readonly attempts: number;
  readonly error: { readonly code: string; readonly message: string } | null;
  readonly outputs: readonly { readonly file?: string; readonly node: string }[];
}

/** Collects the text frames that the page gets from now on: to be called before the page is opened. */
export function listenTo(editor: Editor): Told[] {
  const told: Told[] = [];
  editor.page.on("websocket", (socket) => {
    socket.on("framereceived", ({ payload }) => {
      if (typeof payload === "string") told.push(JSON.parse(payload) as Told);
    });
  });
  return told;
}

/** Asks the server as any client may. */
export async function ask<T>(editor: Editor, path: string, body?: unknown, method = body === undefined ? "GET" : "POST", headers: Record<string, string> = {}): Promise<T> {
  const answer = await fetch(`${editor.url}/api/v1/${path}`, {
    method,
    headers: { "Content-Type": "application/json", ...headers },
    ...(body !== undefined && { body: JSON.stringify(body) }),
  });
  if (!answer.ok) throw new Error(`${method} ${path}: ${answer.status} ${await answer.text()}`);
  return (await answer.json()) as T;
}

export async function jobsOf(editor: Editor, title: string): Promise<JobSaid[]> {
  const { jobs } = await ask<{ jobs: JobSaid[] }>(editor, "jobs?limit=100");
  return jobs.filter((job) => job.title === title);
}

export async function eventsOf(editor: Editor, job: string): Promise<Told[]> {
  return (await ask<{ events: Told[] }>(editor, `jobs/${job}/events`)).events;
}

let seed = Number(process.env["SEED"] ?? 1000);
/** A seed that no scenario before has used: nothing of its run is in the cache. */
export function newSeed(): number {
  seed += 1;
  return seed;
}

/** Perturbed attention in the last tenth of 50 steps: a change of its scale needs the last five again. */
export function lateGuidance(): Doc {
  return {
    weft: 1,
    nodes: {
      model: { type: "load_model", inputs: { source: "shapes" } },
      prompt: { type: "encode_prompt", inputs: { model: link("model"), text: "a red circle" } },
      cfg: { type: "cfg", inputs: { prompt: link("prompt") } },
      pag: { type: "pag", inputs: { scale: 2.0 } },
      late: { type: "during", inputs: { technique: link("pag"), start: 0.9 } },
      denoise: { type: "denoise", inputs: { model: link("model"), guidance: [link("cfg"), link("late")], steps: 50, seed: newSeed() } },
      image: { type: "decode", inputs: { model: link("model"), latents: link("denoise.latents") } },
      save: { type: "save_image", inputs: { image: link("image"), name: "late" } },
    },
  };
}

/** A run of some seconds. */
export function longRun(steps = 150): Doc {
  return {
    weft: 1,
    nodes: {
      model: { type: "load_model", inputs: { source: "shapes" } },
      prompt: { type: "encode_prompt", inputs: { model: link("model"), text: "a blue square" } },
      cfg: { type: "cfg", inputs: { prompt: link("prompt") } },
      denoise: { type: "denoise", inputs: { model: link("model"), guidance: [link("cfg")], steps, seed: newSeed() } },
      image: { type: "decode", inputs: { model: link("model"), latents: link("denoise.latents") } },
      save: { type: "save_image", inputs: { image: link("image"), name: "long" } },
    },
  };
}
