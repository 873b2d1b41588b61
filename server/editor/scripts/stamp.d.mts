import type { Plugin } from "vite";

export function sources(): string[];
export function hashOfSources(): string;
export function stamp(): Plugin;
