import { defineConfig } from "vitest/config";

/** Scenarios in a real browser against a real server: `npm run browser`. One server and one browser for all files. */
export default defineConfig({
  test: {
    dir: "tests/browser",
    include: ["**/*.scenario.ts"],
    globalSetup: ["tests/browser/harness/setup.ts"],
    environment: "node",
    fileParallelism: false,
    isolate: false,
    pool: "forks",
    testTimeout: 40_000,
    expect: { poll: { timeout: 8000 } },
    hookTimeout: 60_000,
    expect: { poll: { timeout: 6000, interval: 60 } },
    // Each scenario is printed with its time.
    reporters: ["verbose"],
    slowTestThreshold: 0,
  },
});
