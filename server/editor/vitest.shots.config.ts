import { defineConfig, mergeConfig } from "vitest/config";
import browser from "./vitest.browser.config";

/** `npm run shots`: the same server and browser, and pictures instead of scenarios. */
const config = mergeConfig(browser, defineConfig({}));
if (config.test) config.test.include = ["**/shots.ts"];
export default config;
