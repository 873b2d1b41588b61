/** What scenarios are written with. */
import { type Browser, type BrowserContextOptions, chromium } from "playwright-core";
import { expect, inject, test } from "vitest";
import { Editor } from "./editor";

export { expect };
export { Editor } from "./editor";
export { WeftServer } from "./server";
export { warm } from "./setup";
export * from "./documents";

/** Of this worker, counted from 0. */
const worker = Number(process.env["VITEST_POOL_ID"] ?? 1) - 1;
function mine(list: readonly string[]): string {
  return list[worker % list.length] ?? "";
}

/** One connection for all scenarios of this process. */
let connection: Promise<Browser> | null = null;
export function theBrowser(): Promise<Browser> {
  connection ??= chromium.connect(mine(inject("browsers")));
  return connection;
}

export interface ScenarioOptions extends BrowserContextOptions {
  /** The server's address; without it the one that all share. */
  readonly url?: string;
  /** Opened first; "" opens nothing. */
  readonly path?: string;
  /** Console errors that belong to the scenario. */
  readonly errors?: readonly RegExp[];
  readonly timeout?: number;
}

/** A page of its own in a context of its own. It fails on any error of the page that it did not expect, and on any CSP report. */
export function scenario(name: string, work: (editor: Editor) => Promise<void>, options: ScenarioOptions = {}): void {
  test(name, async () => inPage(work, options), options.timeout);
}
scenario.only = (name: string, work: (editor: Editor) => Promise<void>, options: ScenarioOptions = {}): void => {
  test.only(name, async () => inPage(work, options), options.timeout);
};

export async function inPage(work: (editor: Editor) => Promise<void>, options: ScenarioOptions = {}): Promise<void> {
  const { url = mine(inject("servers")), path = "/", errors = [], timeout: _, ...more } = options;
  const browser = await theBrowser();
  const context = await browser.newContext({
    viewport: { width: 1440, height: 900 },
    colorScheme: "dark",
    reducedMotion: "reduce",
    permissions: ["clipboard-read", "clipboard-write"],
    ...more,
  });
  context.setDefaultTimeout(8000);
  const editor = await Editor.in(context, url);
  for (const error of errors) editor.expectError(error);
  try {
    if (path !== "") await editor.goto(path);
    await work(editor);
    editor.noFaults();
  } catch (error) {
    const shots = process.env["SHOTS"];
    if (shots) await editor.page.screenshot({ path: `${shots}/${expect.getState().currentTestName?.replace(/\W+/g, "-").slice(0, 80) ?? "failed"}.png` }).catch(() => {});
    if (editor.faults.length > 0 && error instanceof Error) error.message += `\nThe page said: ${editor.faults.join("\n")}`;
    throw error;
  } finally {
    for (const page of context.pages()) await page.unrouteAll({ behavior: "ignoreErrors" });
    await context.close();
  }
}
