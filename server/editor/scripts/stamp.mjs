/** BUILD.json beside the bundle: what it was built of, so that a test without Node finds a stale one. */
import { createHash } from "node:crypto";
import { existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const ROOT = fileURLToPath(new URL("..", import.meta.url));
const FILES = ["index.html", "package.json", "package-lock.json", "tsconfig.json", "vite.config.ts", "scripts/licences.mjs", "scripts/stamp.mjs"];
const FOLDERS = ["public", "src"];

/** Every file that the bundle is made of, by its path from here; tests are none. */
export function sources() {
  const found = FILES.filter((path) => existsSync(join(ROOT, path)));
  for (const folder of FOLDERS) {
    if (!existsSync(join(ROOT, folder))) continue;
    for (const entry of readdirSync(join(ROOT, folder), { recursive: true, withFileTypes: true })) {
      if (!entry.isFile()) continue;
      const path = join(entry.parentPath, entry.name).slice(ROOT.length).replaceAll("\\", "/");
      if (!/\.test\.tsx?$/.test(path)) found.push(path);
    }
  }
  return found.sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)));
}

/** One hash of them all: of each path, and of the hash of what is in it. */
export function hashOfSources() {
  const all = createHash("sha256");
  for (const path of sources()) {
    const one = createHash("sha256").update(readFileSync(join(ROOT, path))).digest("hex");
    all.update(`${path}\0${one}\n`);
  }
  return all.digest("hex");
}

/** Writes the stamp when the bundle is there. No version of Node and no time: the same sources give the same bytes. */
export function stamp() {
  let folder = "";
  return {
    name: "stamp",
    apply: "build",
    configResolved(config) {
      folder = join(config.root, config.build.outDir);
      if (config.build.outDir.startsWith("/")) folder = config.build.outDir;
    },
    closeBundle() {
      if (!existsSync(join(folder, "index.html"))) return;
      const bytes = {};
      for (const name of readdirSync(folder, { recursive: true }).map(String).sort()) {
        const path = name.replaceAll("\\", "/");
        if (path !== "BUILD.json" && path.includes(".")) bytes[path] = readFileSync(join(folder, path)).length;
      }
      writeFileSync(join(folder, "BUILD.json"), `${JSON.stringify({ sources: hashOfSources(), bytes }, null, 2)}\n`);
    },
  };
}
