/** LICENCES.txt beside the bundle: the notices of the packages whose code is in it, as their licences ask. */
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";

/** The folder of the package that a module is of; null for our own. */
function packageOf(id) {
  const path = id.replaceAll("\\", "/").split("?")[0].replace(/^\0/, "");
  const at = path.lastIndexOf("/node_modules/");
  if (at < 0) return null;
  const [first = "", second = ""] = path.slice(at + "/node_modules/".length).split("/");
  return join(path.slice(0, at), "node_modules", first.startsWith("@") ? join(first, second) : first);
}

/** Writes the notices; a package without one ends the build, since its code may not be passed on. */
export function licences() {
  return {
    name: "licences",
    apply: "build",
    generateBundle(_, bundle) {
      const found = new Map();
      for (const chunk of Object.values(bundle)) {
        for (const id of [...(chunk.moduleIds ?? []), ...(chunk.originalFileNames ?? [])]) {
          const folder = packageOf(id);
          if (folder === null || !existsSync(join(folder, "package.json"))) continue;
          const { name, version, license } = JSON.parse(readFileSync(join(folder, "package.json"), "utf8"));
          const file = readdirSync(folder).find((entry) => /^licen[cs]e(\.|$)/i.test(entry));
          if (file === undefined) this.error(`${name} has no licence file in ${dirname(folder)}: its notice cannot be passed on`);
          found.set(name, `${name} ${version} (${license})\n\n${readFileSync(join(folder, file), "utf8").replaceAll("\r\n", "\n").trim()}\n`);
        }
      }
      const names = [...found.keys()].sort();
      const line = `\n${"-".repeat(80)}\n\n`;
      const head = "The editor's bundle holds code of these packages, under the licences that follow.\n";
      this.emitFile({ type: "asset", fileName: "LICENCES.txt", source: head + names.map((name) => line + found.get(name)).join("") });
    },
  };
}
