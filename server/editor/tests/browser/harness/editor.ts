/** The editor as a user meets it: by roles and names. */
import { text as textOf } from "node:stream/consumers";
import type { BrowserContext, ConsoleMessage, Locator, Page, Request } from "playwright-core";
import type { Doc } from "./documents";

declare global {
  interface Window {
    /** Every line that the live region said, in order. */
    said?: string[];
    /** What the page gave to the browser as a file last. */
    given?: Blob | null;
  }
}

export interface DroppedFile {
  readonly name: string;
  readonly mime: string;
  readonly bytes: Buffer | string;
}

const quoted = (text: string): string => text.replace(/[.*+?^${}()|[\]\\]/g, "\\$&");

export class Editor {
  readonly context: BrowserContext;
  readonly page: Page;
  readonly url: string;
  /** What went wrong in the page without being expected. */
  readonly faults: string[] = [];
  readonly #expected: RegExp[] = [];

  private constructor(page: Page, url: string) {
    this.page = page;
    this.context = page.context();
    this.url = url;
  }

  /** A new page of a context; a second one of the same context is another tab of the same browser. */
  static async in(context: BrowserContext, url: string): Promise<Editor> {
    const editor = new Editor(await context.newPage(), url);
    const { page } = editor;
    page.on("pageerror", (error) => editor.#fault(`page error: ${error.message}`));
    page.on("console", (message: ConsoleMessage) => {
      if (message.type() === "error") editor.#fault(`console error: ${message.text()} ${message.location().url}`);
    });
    await page.exposeBinding("reportPolicy", (_source, what: string) => editor.#fault(`CSP: ${what}`));
    await page.addInitScript(() => {
      document.addEventListener("securitypolicyviolation", (event) => {
        (window as unknown as { reportPolicy(what: string): void }).reportPolicy(`${event.violatedDirective} ${event.blockedURI}`);
      });
      const address = URL.createObjectURL.bind(URL);
      URL.createObjectURL = (of) => {
        if (of instanceof Blob && of.type === "application/json") window.given = of;
        return address(of);
      };
      const said: string[] = [];
      window.said = said;
      let last: Element | null = null;
      let text = "";
      new MutationObserver(() => {
        // Its child is another one for each line, of the same words too.
        const now = document.querySelector('[aria-label="What happens"] > *');
        if (!now || (now === last && now.textContent === text)) return;
        [last, text] = [now, now.textContent ?? ""];
        if (text !== "") said.push(text);
      }).observe(document, { subtree: true, childList: true, characterData: true });
    });
    return editor;
  }

  /** Another tab of the same browser, with the same storage. */
  async anotherTab(path = "/"): Promise<Editor> {
    const other = await Editor.in(this.context, this.url);
    await other.goto(path);
    return other;
  }

  #fault(text: string): void {
    if (!this.#expected.some((one) => one.test(text))) this.faults.push(text);
  }

  /** Console errors from here on that belong to the scenario, such as a request that is refused on purpose. */
  expectError(pattern: RegExp): void {
    this.#expected.push(pattern);
  }

  noFaults(): void {
    if (this.faults.length > 0) throw new Error(`The page had errors:\n${this.faults.join("\n")}`);
  }

  async goto(path = "/"): Promise<void> {
    await this.page.goto(this.url + path);
    await this.page.locator("#app button:visible").first().waitFor();
  }

  // Regions

  get canvas(): Locator {
    return this.page.getByRole("group", { name: /^Workflow .*: \d+ nodes?$/ });
  }
  /** The pane behind the cards. */
  get pane(): Locator {
    return this.page.locator(".react-flow__pane");
  }
  card(id: string): Locator {
    return this.page.getByRole("article", { name: new RegExp(`^${quoted(id)},`) });
  }
  cards(): Locator {
    return this.canvas.getByRole("article");
  }
  get outline(): Locator {
    return this.page.getByRole("tree");
  }
  get status(): Locator {
    return this.page.getByRole("contentinfo", { name: "Status" });
  }
  get inspector(): Locator {
    return this.page.getByRole("complementary", { name: "Inspector" });
  }
  get runButton(): Locator {
    return this.page.getByRole("button", { name: /^(Run|Queue)\b/ }).first();
  }
  get palette(): Locator {
    return this.page.getByRole("combobox", { name: /add|node/i });
  }
  get tabs(): Locator {
    return this.page.locator('[role=tab][id^="tab-"]');
  }
  menuItem(name: string | RegExp): Locator {
    return this.page.getByRole("menuitem", { name });
  }

  // Acts

  async press(...keys: string[]): Promise<void> {
    for (const key of keys) await this.page.keyboard.press(key);
  }
  async type(text: string): Promise<void> {
    await this.page.keyboard.type(text);
  }

  /** Any command by its name, through Ctrl+K. */
  async command(label: string): Promise<void> {
    await this.press("Control+k");
    const field = this.page.getByRole("combobox", { name: "Command", exact: true });
    await field.fill(label);
    await this.page.getByRole("option", { name: new RegExp(quoted(label)) }).first().waitFor();
    await this.press("Enter");
    await field.waitFor({ state: "detached" });
  }

  /** An empty workflow, from the first page or beside others. */
  async empty(): Promise<void> {
    const first = this.page.getByRole("button", { name: "Empty workflow" });
    await first.or(this.page.getByRole("tab")).first().waitFor();
    if (await first.isVisible()) await first.click();
    else await this.page.getByRole("button", { name: "New workflow" }).click();
    await this.page.getByRole("group", { name: /: 0 nodes$/ }).waitFor();
  }

  /** A copy of an example, from the first page by its title. */
  async openExample(title: string | RegExp): Promise<void> {
    await this.page.getByRole("button", { name: title }).first().click();
    await this.cards().first().waitFor();
  }

  /** Opens a document by dropping it as a file, and waits for its cards. */
  async open(document: Doc | string, name = "given.json"): Promise<void> {
    const text = typeof document === "string" ? document : JSON.stringify(document, null, 2);
    await this.page.getByRole("button", { name: "Empty workflow" }).or(this.page.getByRole("tab")).first().waitFor();
    await this.drop([{ name, mime: "application/json", bytes: text }]);
    await this.page.getByRole("tab", { name: name.replace(/\.[^.]*$/, ""), selected: true }).or(this.page.getByRole("group", { name: /^Workflow .*: [1-9]/ })).first().waitFor();
    const [id] = typeof document === "string" ? [] : Object.keys(document.nodes);
    if (id !== undefined) await this.card(id).first().waitFor();
  }

  /** Drops files on an element, or on the page. */
  async drop(files: readonly DroppedFile[], on?: Locator, at?: { x: number; y: number }): Promise<void> {
    const given = files.map(({ name, mime, bytes }) => ({ name, mime, base64: Buffer.from(bytes).toString("base64") }));
    const data = await this.page.evaluateHandle((list) => {
      const transfer = new DataTransfer();
      for (const { name, mime, base64 } of list) {
        const bytes = Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0));
        transfer.items.add(new File([bytes], name, { type: mime }));
      }
      return transfer;
    }, given);
    const target = on ?? this.page.locator("body");
    const where = at === undefined ? {} : { clientX: at.x, clientY: at.y };
    for (const event of ["dragenter", "dragover", "drop"]) await target.dispatchEvent(event, { dataTransfer: data, bubbles: true, cancelable: true, ...where });
  }

  /** The document of the tab that is shown, as the editor saves it to this computer: the file that the browser got. */
  async savedFile(): Promise<string> {
    const [download] = await Promise.all([this.page.waitForEvent("download"), this.command("Save to this computer")]);
    return textOf(await download.createReadStream());
  }

  /**
   * The same text without the browser's part in it, which takes half a second: the command is called by its keys and its
   * name within the page, and the file is read where the page gives it away. Scenarios look at documents hundreds of times.
   */
  async documentText(): Promise<string> {
    return this.page.evaluate(async () => {
      const until = async <Found>(what: string, look: () => Found | null | undefined): Promise<Found> => {
        for (const end = performance.now() + 8000; performance.now() < end; ) {
          const found = look();
          if (found !== null && found !== undefined) return found;
          await new Promise((next) => setTimeout(next, 4));
        }
        throw new Error(`${what} is not there.`);
      };
      const key = (on: Element, init: KeyboardEventInit): void => void on.dispatchEvent(new KeyboardEvent("keydown", { bubbles: true, cancelable: true, composed: true, ...init }));
      const list = (): HTMLInputElement | null => document.querySelector('input[role="combobox"][aria-label="Command"]');
      const keep = HTMLAnchorElement.prototype.click;
      window.given = null;
      HTMLAnchorElement.prototype.click = function click(this: HTMLAnchorElement) {
        if (!this.download) keep.call(this);
      };
      try {
        key(document.activeElement ?? document.body, { key: "k", code: "KeyK", ctrlKey: true });
        const field = await until("The list of commands", list);
        Object.getOwnPropertyDescriptor(HTMLInputElement.prototype, "value")?.set?.call(field, "Save to this computer");
        field.dispatchEvent(new InputEvent("input", { bubbles: true }));
        await until("The command", () => document.querySelector("#command-file\\.download[aria-selected=true]"));
        key(field, { key: "Enter", code: "Enter" });
        const file = await until("The file", () => window.given);
        await until("The page without the list", () => list() === null || null);
        return await file.text();
      } finally {
        HTMLAnchorElement.prototype.click = keep;
      }
    });
  }
  async document(): Promise<Doc> {
    return JSON.parse(await this.documentText()) as Doc;
  }

  /** Lines that the live region has said. */
  async said(): Promise<string[]> {
    return this.page.evaluate(() => [...(window.said ?? [])]);
  }
  /** Waits until the live region says a line after the first `from` lines. */
  async hear(pattern: RegExp, from = 0, timeout = 8000): Promise<string> {
    const handle = await this.page.waitForFunction(
      ([source, flags, after]) => (window.said ?? []).slice(after).find((line) => new RegExp(source, flags).test(line)),
      [pattern.source, pattern.flags, from] as const,
      { timeout },
    );
    return (await handle.jsonValue()) ?? "";
  }

  /** Runs with Ctrl+Enter and waits for the end; gives what was said at the end: "done, 1.2 s". */
  async run(act: () => Promise<void> = () => this.press("Control+Enter")): Promise<string> {
    const before = (await this.said()).length;
    await act();
    return this.hear(/^(done,|failed|cancelled)/, before, 30_000);
  }

  /** Counts the requests whose `METHOD /path` fits, from now on. */
  countRequests(pattern: RegExp): { readonly list: string[]; readonly count: number } {
    const list: string[] = [];
    this.page.on("request", (request: Request) => {
      const line = `${request.method()} ${new URL(request.url()).pathname}`;
      if (pattern.test(line)) list.push(line);
    });
    return { list, get count() { return list.length; } };
  }

  // The canvas by mouse

  /** A port: an input as `denoise.model` or `denoise.guidance.0`, an output as `cfg>guidance`. */
  port(name: string): Locator {
    const output = name.includes(">");
    const at = name.indexOf(output ? ">" : ".");
    return this.page.locator(`.react-flow__handle.${output ? "source" : "target"}[data-nodeid="${name.slice(0, at)}"][data-handleid="${name.slice(at + 1)}"]`);
  }
  async middle(of: Locator): Promise<{ x: number; y: number }> {
    const box = await of.boundingBox();
    if (!box) throw new Error(`${String(of)} is not on the page.`);
    return { x: box.x + box.width / 2, y: box.y + box.height / 2 };
  }
  /** Drags from a place to another in steps, as a hand does. */
  async drag(from: Locator | { x: number; y: number }, to: Locator | { x: number; y: number }, release = true): Promise<void> {
    const start = "x" in from ? from : await this.middle(from);
    const end = "x" in to ? to : await this.middle(to);
    await this.page.mouse.move(start.x, start.y);
    await this.page.mouse.down();
    await this.page.mouse.move(start.x + Math.sign(end.x - start.x) * 6, start.y + Math.sign(end.y - start.y) * 6);
    await this.page.mouse.move((start.x + end.x) / 2, (start.y + end.y) / 2, { steps: 3 });
    await this.page.mouse.move(end.x, end.y, { steps: 3 });
    if (release) await this.page.mouse.up();
  }
  /** Wires an output to an input by mouse: `wire("cfg>guidance", "denoise.guidance.0")`. */
  async wire(from: string, to: string): Promise<void> {
    await this.drag(this.port(from), this.port(to));
  }

  /** Puts the keys on a card, by clicking its title. */
  async choose(id: string, ...more: string[]): Promise<void> {
    await this.card(id).locator("header .card__name").click();
    for (const other of more) await this.card(other).locator("header .card__name").click({ modifiers: ["Shift"] });
  }
  /** Puts the keys on the canvas without choosing anything. */
  async focusCanvas(): Promise<void> {
    await this.canvas.focus();
  }

  /** Opens or closes a panel by its key on the canvas: "1" add, "2" outline, "5" inspector, "8" problems. */
  async panel(key: string): Promise<void> {
    await this.focusCanvas();
    await this.press(key);
  }
}
