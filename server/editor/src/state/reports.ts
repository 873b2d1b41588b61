/** What nodes report of their own: a training sends its losses so. Kept as it came; the panel makes curves of it. */
import { create } from "zustand";
import type { JobEvent } from "../service/types";

export const useReports = create<{ readonly reports: readonly JobEvent[] }>(() => ({ reports: [] }));

const MOST = 20_000;

/** Takes a report of a training. */
export function takeReport(event: JobEvent): void {
  if (event.kind?.startsWith("train")) useReports.setState(({ reports }) => ({ reports: [...reports.slice(-MOST), event] }));
}
