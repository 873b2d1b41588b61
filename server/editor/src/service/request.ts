/** One request to the server: JSON in and out, refusals as `Refused`, silence as `Unreachable`. */
import { Refused, Unreachable } from "./refused";
import type { Problem } from "./types";

export const ROOT = "/api/v1";
/** An answer that takes longer than this is taken for none. Runs are not waited for in a request. */
const PATIENCE = 30_000;

export interface Asking {
  readonly method?: "GET" | "POST" | "PUT" | "PATCH" | "DELETE";
  /** Sent as JSON. */
  readonly json?: unknown;
  /** JSON that is text already. */
  readonly text?: string;
  /** Bytes, with their own type. */
  readonly bytes?: Blob;
  readonly headers?: Readonly<Record<string, string>>;
  readonly query?: Readonly<Record<string, string | number | null | undefined>>;
  readonly signal?: AbortSignal;
  readonly patience?: number;
}

/** Asks, and gives the answer when it is a good one (304 is). */
export async function ask(path: string, asking: Asking = {}): Promise<Response> {
  const headers: Record<string, string> = { ...asking.headers };
  let body: string | Blob | undefined;
  if (asking.bytes !== undefined) {
    body = asking.bytes;
    headers["content-type"] = asking.bytes.type || "application/octet-stream";
  } else if (asking.text !== undefined || asking.json !== undefined) {
    body = asking.text ?? JSON.stringify(asking.json);
    headers["content-type"] = "application/json";
  } else if (asking.method === "POST") {
    headers["content-type"] = "application/json"; // the server wants a type of who may be a browser
  }
  const limit = AbortSignal.timeout(asking.patience ?? PATIENCE);
  const signal = asking.signal ? AbortSignal.any([asking.signal, limit]) : limit;
  let answer: Response;
  try {
    const init: RequestInit = { method: asking.method ?? "GET", headers, signal, credentials: "same-origin" };
    if (body !== undefined) init.body = body;
    answer = await fetch(ROOT + path + queryText(asking.query), init);
  } catch (error) {
    if (asking.signal?.aborted) throw error;
    throw new Unreachable(error);
  }
  if (answer.ok || answer.status === 304) return answer;
  throw await refusal(answer);
}

/** Asks for JSON. */
export async function askJson<T>(path: string, asking: Asking = {}): Promise<T> {
  const answer = await ask(path, asking);
  try {
    return (await answer.json()) as T;
  } catch (error) {
    if (asking.signal?.aborted) throw error;
    throw new Unreachable(error); // half an answer: the server died while it spoke
  }
}

function queryText(query: Asking["query"]): string {
  const found = new URLSearchParams();
  for (const [name, value] of Object.entries(query ?? {})) {
    if (value !== null && value !== undefined && value !== "") found.set(name, String(value));
  }
  const text = found.toString();
  return text ? `?${text}` : "";
}

/** What a bad answer says. */
export async function refusal(answer: Response): Promise<Refused | Unreachable> {
  let said: Record<string, unknown> = {};
  try {
    const data: unknown = await answer.json();
    if (typeof data === "object" && data !== null) said = data as Record<string, unknown>;
  } catch {
    // A proxy in between answers in its own way.
    if (answer.status === 502 || answer.status === 504) return new Unreachable(answer.status);
  }
  const text = (key: string) => (Object.hasOwn(said, key) && typeof said[key] === "string" ? (said[key] as string) : "");
  const problems = Object.hasOwn(said, "problems") && Array.isArray(said.problems) ? (said.problems as Problem[]) : [];
  const after = Number(answer.headers.get("retry-after") ?? "");
  return new Refused(
    answer.status,
    text("code") || `http_${answer.status}`,
    text("detail") || text("title") || `The server answers ${answer.status}.`,
    problems,
    answer.headers.has("retry-after") && Number.isFinite(after) ? after : null,
  );
}
