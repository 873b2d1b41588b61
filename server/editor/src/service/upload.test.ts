import { expect, test } from "vitest";
import { Refused, Unreachable } from "./refused";
import { type Sender, upload } from "./upload";

function fake() {
  const asked: unknown[] = [];
  const sender = {
    open: (method: string, url: string) => void asked.push(method, url),
    setRequestHeader: (name: string, value: string) => void asked.push(name, value),
    send: () => {},
    getResponseHeader: () => "7",
    status: 201,
    responseText: "{}",
    timeout: 0,
    onload: null,
    onerror: null,
    ontimeout: null,
    upload: { onprogress: null },
  } as unknown as Sender & { status: number; responseText: string };
  return { asked, sender };
}

test("an upload tells how far it is, and gives what the server says", async () => {
  const { asked, sender } = fake();
  const parts: number[] = [];
  const given = upload(new Blob(["abc"], { type: "image/png" }), (part) => parts.push(part), sender);
  for (const loaded of [0, 2, 5]) sender.upload.onprogress?.({ loaded, total: 4 });
  sender.upload.onprogress?.({ loaded: 3, total: 0 });
  sender.responseText = '{"file": "sha256:a"}';
  sender.onload?.();
  expect(await given).toEqual({ file: "sha256:a" });
  expect(parts).toEqual([0, 0.5, 1, 0]);
  expect(asked).toEqual(["POST", "/api/v1/files", "content-type", "image/png"]);
});

test("a refusal is a sentence, and silence is silence", async () => {
  const refused = fake();
  const first = upload(new Blob([]), undefined, refused.sender);
  refused.sender.status = 507;
  refused.sender.responseText = '{"code": "no_space", "detail": "The disk is full."}';
  refused.sender.onload?.();
  await expect(first).rejects.toMatchObject({ status: 507, code: "no_space", detail: "The disk is full.", retryAfter: 7 });
  await expect(first).rejects.toBeInstanceOf(Refused);
  for (const end of ["onerror", "ontimeout"] as const) {
    const { sender } = fake();
    const given = upload(new Blob([]), undefined, sender);
    sender[end]?.();
    await expect(given).rejects.toBeInstanceOf(Unreachable);
  }
  const half = fake();
  const cut = upload(new Blob([]), undefined, half.sender);
  half.sender.responseText = '{"fi';
  half.sender.onload?.();
  await expect(cut).rejects.toBeInstanceOf(Unreachable);
});
