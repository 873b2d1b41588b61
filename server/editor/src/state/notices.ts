/** What is said to the reader: notices that stand at the top, and one line that screen readers hear politely. */
import { create } from "zustand";
import { newId } from "./ids";
import type { Notice } from "./types";

export interface Notices {
  readonly list: readonly Notice[];
  /** The last line said; `count` makes the same words news again. */
  readonly line: { readonly text: string; readonly count: number };
  /** Shows a notice; one with the same id takes the place of the one before. */
  say(notice: Omit<Notice, "id"> & { readonly id?: string }): string;
  close(id: string): void;
  /** Says a line to the polite live region and the status bar. */
  tell(text: string): void;
}

export const useNotices = create<Notices>((set) => ({
  list: [],
  line: { text: "", count: 0 },
  say(notice) {
    const id = notice.id ?? newId();
    set(({ list }) => {
      const next: Notice = { ...notice, id };
      const at = list.findIndex((item) => item.id === id);
      return { list: at < 0 ? [...list, next] : list.with(at, next) };
    });
    return id;
  },
  close(id) {
    set(({ list }) => (list.some((item) => item.id === id) ? { list: list.filter((item) => item.id !== id) } : {}));
  },
  tell(text) {
    set(({ line }) => ({ line: { text, count: line.count + 1 } }));
  },
}));

/** Says a line politely. */
export function say(text: string): void {
  useNotices.getState().tell(text);
}
