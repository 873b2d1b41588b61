import { defineConfig } from "vitest/config";

/** Scenarios in a real browser against a real server: `npm run browser`. Two files at a time, each worker with a server and a browser of its own. */
export default defineConfig({
  test: {
    dir: "tests/browser",
    include: ["**/*.scenario.ts"],
    globalSetup: ["tests/browser/harness/setup.ts"],
    environment: "node",
    maxWorkers: Math.max(1, Number(process.env["BROWSERS"] ?? 2)),
    isolate: false,
    pool: "forks",
    testTimeout: 40_000,
    // A browser on a busy machine is given a second try; the list says which scenarios took it.
    retry: 1,
    expect: { poll: { timeout: 8000, interval: 60 } },
    hookTimeout: 60_000,
    // Each scenario is printed with its time.
    reporters: ["verbose"],
    slowTestThreshold: 0,
  },
});
