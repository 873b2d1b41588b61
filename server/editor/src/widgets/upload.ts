/** Uploads: one at a time for one field, refused in a sentence that stands on the field. */
import { useCallback, useEffect, useRef, useState } from "react";
import { Refused } from "../service/refused";
import { api } from "../service/api";
import type { Uploaded } from "../service/types";
import { bytes } from "../state/words";

/** What the server takes (docs/server.md): larger files are refused before a byte is sent. */
export const LARGEST_UPLOAD = 32 * 1024 * 1024;

export interface Uploading {
  readonly name: string;
  readonly bytes: number;
  readonly began: number;
  /** How much of it is sent, from 0 to 1. */
  readonly part: number;
}

/** "12 MB, on its way", "40 % of 12 MB". */
export function sentWords({ bytes: size, part }: Uploading): string {
  return part > 0 && part < 1 ? `${Math.floor(part * 100)} % of ${bytes(size)}` : `${bytes(size)}, on its way`;
}

/** Why a file cannot be an input, before it is sent. */
export function uploadFault(file: { readonly name: string; readonly size: number; readonly type: string }): string | null {
  if (file.size === 0) return `“${file.name}” is empty.`;
  if (file.size > LARGEST_UPLOAD) return `“${file.name}” has ${(file.size / 1024 / 1024).toFixed(0)} MiB; at most 32 are taken.`;
  if (file.type !== "" && !file.type.startsWith("image/")) return `“${file.name}” is no picture.`;
  return null;
}

/** One upload at a time for one field; its refusal is a sentence for the field. */
export function useUpload(onDone: (uploaded: Uploaded, name: string) => void) {
  const [busy, setBusy] = useState<Uploading | null>(null);
  const [fault, setFault] = useState<string | null>(null);
  const done = useRef(onDone);
  done.current = onDone;
  const turn = useRef(0);
  useEffect(
    () => () => {
      turn.current = -1;
    },
    [],
  );
  const send = useCallback(async (file: Blob & { readonly name?: string }) => {
    const name = file.name ?? "picture";
    const refused = uploadFault({ name, size: file.size, type: file.type });
    if (refused) {
      setFault(refused);
      return;
    }
    turn.current += 1;
    const mine = turn.current;
    setFault(null);
    setBusy({ name, bytes: file.size, began: performance.now(), part: 0 });
    try {
      const uploaded = await api.upload(file, (part) => {
        if (turn.current === mine) setBusy((now) => now && { ...now, part });
      });
      if (turn.current === mine) done.current(uploaded, name);
    } catch (error) {
      if (turn.current === mine) setFault(error instanceof Refused ? error.message : "The server does not answer; the file was not sent.");
    } finally {
      if (turn.current === mine) setBusy(null);
    }
  }, []);
  return { busy, fault, send, clear: () => setFault(null) };
}

/** The first picture of what was dropped or pasted. */
export function pictureOf(data: DataTransfer | null): File | null {
  for (const file of data?.files ?? []) if (file.type.startsWith("image/") || file.type === "") return file;
  return data?.files[0] ?? null;
}
