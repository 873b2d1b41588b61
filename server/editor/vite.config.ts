import react from "@vitejs/plugin-react";
import { defineConfig } from "vite";
import { stamp } from "./scripts/stamp.mjs";

/** Fixed names, no hashes: the bundle is committed, and a build of the same sources gives the same bytes. */
export default defineConfig({
  plugins: [react(), stamp()],
  // The page is given at /app/name, too.
  base: "/",
  build: {
    outDir: "../static",
    emptyOutDir: true,
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    rollupOptions: {
      output: {
        entryFileNames: "assets/[name].js",
        chunkFileNames: "assets/[name].js",
        assetFileNames: "assets/[name][extname]",
      },
    },
  },
  // `npx vite` beside a server: WEFT_SERVER=http://127.0.0.1:9338 npx vite
  server: { proxy: { "/api": { target: process.env.WEFT_SERVER ?? "http://127.0.0.1:9338", ws: true, changeOrigin: true }, "/healthz": process.env.WEFT_SERVER ?? "http://127.0.0.1:9338" } },
});
