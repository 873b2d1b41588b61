/** The rule of README.md: an import goes down the list of folders or stays in its own. */
import { readdirSync, readFileSync, statSync } from "node:fs";
import { join, relative, resolve, dirname } from "node:path";
import { expect, test } from "vitest";

/** From the bottom up. */
const LAYERS = ["document", "catalogue", "layout", "service", "state", "keys", "marks", "widgets", "canvas", "panels", "views"];
const SOURCES = import.meta.dirname;

function files(folder: string): string[] {
  return readdirSync(folder).flatMap((name) => {
    const path = join(folder, name);
    if (statSync(path).isDirectory()) return name === "testing" ? [] : files(path);
    return /\.tsx?$/.test(name) && !/\.test\.tsx?$/.test(name) ? [path] : [];
  });
}

const layerOf = (path: string): string => relative(SOURCES, path).split("/")[0] ?? "";

test("no import goes up", () => {
  const wrong: string[] = [];
  let seen = 0;
  for (const layer of LAYERS) {
    for (const file of files(join(SOURCES, layer))) {
      for (const [, target = ""] of readFileSync(file, "utf8").matchAll(/(?:from|import)\s*\(?\s*"(\.{1,2}\/[^"]+)"/g)) {
        seen += 1;
        const to = layerOf(resolve(dirname(file), target));
        if (to === "styles") continue;
        const at = LAYERS.indexOf(to);
        if (at < 0 || at > LAYERS.indexOf(layer)) wrong.push(`${relative(SOURCES, file)} imports ${target}`);
      }
    }
  }
  expect(seen).toBeGreaterThan(300);
  expect(wrong).toEqual([]);
});

test("document, catalogue and layout know no React, service none either", () => {
  for (const layer of ["document", "catalogue", "layout", "service"]) {
    for (const file of files(join(SOURCES, layer))) expect(readFileSync(file, "utf8"), relative(SOURCES, file)).not.toMatch(/from "(react|react-dom|@xyflow)/);
  }
});
