/** Dark or light: the reader's choice, else the system's. */
import { prefer, usePreferences } from "../state/preferences";

const query = typeof matchMedia === "function" ? matchMedia("(prefers-color-scheme: light)") : null;

export function effectiveTheme(): "dark" | "light" {
  const { theme } = usePreferences.getState();
  return theme === "system" ? (query?.matches ? "light" : "dark") : theme;
}

export function toggleTheme(): void {
  prefer({ theme: effectiveTheme() === "dark" ? "light" : "dark" });
}

/** Keeps the page in the theme; gives what ends it. */
export function followTheme(): () => void {
  const apply = () => {
    document.documentElement.dataset.theme = effectiveTheme();
  };
  apply();
  query?.addEventListener("change", apply);
  const stop = usePreferences.subscribe(apply);
  return () => {
    query?.removeEventListener("change", apply);
    stop();
  };
}
