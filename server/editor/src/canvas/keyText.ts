/** Keys as commands write them: "Ctrl+Shift+G"; by `event.key`, so that any layout works. */

interface Pressed {
  readonly key: string;
  readonly ctrlKey: boolean;
  readonly metaKey: boolean;
  readonly altKey: boolean;
  readonly shiftKey: boolean;
}

/** Texts that a key press matches, the most exact first. A sign that needs Shift on some layouts is also matched without it. */
export function keyTexts(event: Pressed): string[] {
  const name = event.key === " " ? "Space" : event.key.length === 1 ? event.key.toUpperCase() : event.key;
  const before = `${event.ctrlKey || event.metaKey ? "Ctrl+" : ""}${event.altKey ? "Alt+" : ""}`;
  const full = `${before}${event.shiftKey ? "Shift+" : ""}${name}`;
  const sign = event.key.length === 1 && event.key.toUpperCase() === event.key.toLowerCase() && event.key !== " ";
  return sign && event.shiftKey ? [full, before + name] : [full];
}
