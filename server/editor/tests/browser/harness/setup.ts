/** Before all scenarios: for each worker a server of its own, warm, and a browser of its own (they share no clipboard then). */
import { type BrowserServer, chromium } from "playwright-core";
import type { TestProject } from "vitest/node";
import { WeftServer } from "./server";

declare module "vitest" {
  interface ProvidedContext {
    /** By worker. */
    readonly servers: readonly string[];
    readonly browsers: readonly string[];
  }
}

export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  // While scenarios are written: a server that runs already, its worker warm.
  const given = process.env["WEFT_URL"];
  const workers = Math.max(1, Number(project.config.maxWorkers) || 1);
  const each = <Made>(make: () => Promise<Made>): Promise<Made[]> => Promise.all(Array.from({ length: workers }, make));
  const servers = given === undefined ? await each(warmServer) : [];
  const browsers: BrowserServer[] = await each(() =>
    chromium.launchServer({
      executablePath: process.env["CHROMIUM"] ?? "/usr/bin/chromium",
      args: ["--no-sandbox", "--force-color-profile=srgb"],
    }),
  );
  project.provide("servers", given === undefined ? servers.map(({ url }) => url) : Array.from({ length: workers }, () => given));
  project.provide("browsers", browsers.map((browser) => browser.wsEndpoint()));
  return async () => {
    await Promise.all([...browsers.map((browser) => browser.close()), ...servers.map((server) => server.stop())]);
  };
}

/** The worker imports torch and loads the bundled model once, here and not in the first scenario that runs. */
async function warmServer(): Promise<WeftServer> {
  const server = await WeftServer.start();
  await warm(server);
  return server;
}

/** Runs one step of the bundled model. */
export async function warm(server: WeftServer): Promise<void> {
  const workflow = {
    weft: 1,
    nodes: {
      model: { type: "load_model", inputs: { source: "shapes" } },
      prompt: { type: "encode_prompt", inputs: { model: { link: "model" }, text: "warm" } },
      cfg: { type: "cfg", inputs: { prompt: { link: "prompt" } } },
      denoise: { type: "denoise", inputs: { model: { link: "model" }, guidance: [{ link: "cfg" }], steps: 1 } },
      image: { type: "decode", inputs: { model: { link: "model" }, latents: { link: "denoise.latents" } } },
      save: { type: "save_image", inputs: { image: { link: "image" }, name: "warm" } },
    },
  };
  const { id } = await server.ask<{ id: string }>("jobs", { workflow });
  for (;;) {
    const { state, error } = await server.ask<{ state: string; error: unknown }>(`jobs/${id}`);
    if (state === "done") return;
    if (state === "failed" || state === "cancelled") throw new Error(`The bundled model does not run: ${JSON.stringify(error)}\n${server.log}`);
    await new Promise((next) => setTimeout(next, 100));
  }
}
