import react from "@vitejs/plugin-react";
import { defineConfig } from "vite";
import { licences } from "./scripts/licences.mjs";
import { stamp } from "./scripts/stamp.mjs";

interface Modules {
  getModuleInfo(id: string): { readonly importedIds: readonly string[] } | null;
}

/** What the page needs for its first picture: everything that `main.tsx` imports, and what that imports. One file, not one for each part that is shared. */
function firstPart() {
  let needed: Set<string> | null = null;
  return (id: string, modules: Modules): string | null => {
    if (needed === null) {
      const entry = import.meta.dirname.replaceAll("\\", "/") + "/src/main.tsx";
      needed = new Set([entry]);
      for (const module of needed) for (const other of modules.getModuleInfo(module)?.importedIds ?? []) needed.add(other);
    }
    return needed.has(id) ? "first" : null;
  };
}

/** Fixed names, no hashes: the bundle is committed, and a build of the same sources gives the same bytes. */
export default defineConfig({
  plugins: [react(), licences(), stamp()],
  // React Flow moves views with d3, whose colours, transitions and ways between all sorts of values nothing here uses.
  resolve: { alias: { "d3-transition": `${import.meta.dirname}/src/canvas/viewMoves.ts`, "d3-interpolate": `${import.meta.dirname}/src/canvas/viewWays.ts` } },
  // The page is given at /app/name, too.
  base: "/",
  build: {
    outDir: "../static",
    emptyOutDir: true,
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    chunkSizeWarningLimit: 800,
    rolldownOptions: {
      // React Flow does not say that these do nothing else: its map and bars go when nobody uses them.
      treeshake: { manualPureFunctions: ["memo", "forwardRef", "createContext"] },
      output: {
        entryFileNames: "assets/[name].js",
        chunkFileNames: "assets/[name].js",
        assetFileNames: "assets/[name][extname]",
        codeSplitting: { includeDependenciesRecursively: false, groups: [{ name: firstPart() }] },
      },
    },
  },
  // `npx vite` beside a server: WEFT_SERVER=http://127.0.0.1:9338 npx vite
  server: { proxy: { "/api": { target: process.env.WEFT_SERVER ?? "http://127.0.0.1:9338", ws: true, changeOrigin: true }, "/healthz": process.env.WEFT_SERVER ?? "http://127.0.0.1:9338" } },
});
