/** Sends a file and tells how far it is: `fetch` cannot tell that. */
import { Unreachable } from "./refused";
import { refusal, ROOT } from "./request";
import type { Uploaded } from "./types";

/** An upload that takes longer is taken for dead. */
const PATIENCE = 600_000;

/** The request as far as it is used here, so that tests can bring their own. */
export type Sender = Pick<XMLHttpRequest, "open" | "send" | "setRequestHeader" | "getResponseHeader" | "status" | "responseText" | "timeout"> & {
  onload: (() => void) | null;
  onerror: (() => void) | null;
  ontimeout: (() => void) | null;
  readonly upload: { onprogress: ((event: { readonly loaded: number; readonly total: number }) => void) | null };
};

/** Uploads bytes; `onProgress` is told which part of them has been sent, from 0 to 1. */
export function upload(
  bytes: Blob,
  onProgress: (part: number) => void = () => {},
  sender: Sender = new XMLHttpRequest() as unknown as Sender,
): Promise<Uploaded> {
  return new Promise((give, fail) => {
    const silence = () => fail(new Unreachable("no answer to an upload"));
    sender.open("POST", `${ROOT}/files`);
    sender.setRequestHeader("content-type", bytes.type || "application/octet-stream");
    sender.timeout = PATIENCE;
    sender.upload.onprogress = ({ loaded, total }) => onProgress(total > 0 ? Math.min(1, loaded / total) : 0);
    sender.onerror = silence;
    sender.ontimeout = silence;
    sender.onload = () => {
      const { status, responseText } = sender;
      if (status < 200 || status > 299) {
        const after = sender.getResponseHeader("retry-after");
        const answer = new Response(responseText, { status, ...(after !== null && { headers: { "retry-after": after } }) });
        void refusal(answer).then(fail, fail);
        return;
      }
      try {
        give(JSON.parse(responseText) as Uploaded);
      } catch (error) {
        fail(new Unreachable(error)); // half an answer: the server died while it spoke
      }
    };
    sender.send(bytes);
  });
}
