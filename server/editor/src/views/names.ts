/** What saved workflows may be called: the server's own rule, told before it is asked. */

const MOST_BYTES = 100;
const NOT_ALLOWED = /[^\p{L}\p{Nd} ._-]/gu;
/** Devices on Windows, where the files may be copied to. */
const RESERVED = /^(?:con|prn|aux|nul|com\p{Nd}|lpt\p{Nd})(?:\..*)?$/iu;

const bytesOf = (text: string): number => new TextEncoder().encode(text).length;

/** A name as it is sent: a letter with an accent is one character, however it was typed. */
export function asName(typed: string): string {
  return typed.normalize("NFC").trim();
}

/** Why a text cannot be the name of a saved workflow; null when it can. */
export function nameFault(typed: string): string | null {
  const name = asName(typed);
  if (name === "") return "A name is needed.";
  if (name.startsWith(".")) return "A name does not begin with a dot.";
  const other = [...new Set(name.match(NOT_ALLOWED) ?? [])];
  if (other.length > 0) return `A name has letters, digits, spaces, -, _ and dots; not ${other.slice(0, 5).join(" ")}`;
  const bytes = bytesOf(name);
  if (bytes > MOST_BYTES) return `A name has at most ${MOST_BYTES} bytes; this has ${bytes}.`;
  if (RESERVED.test(name)) return `${name} is the name of a device on some systems. Choose another.`;
  return null;
}

/** A name made of a title: what a name cannot have is left out. */
export function proposedName(title: string): string {
  let name = title.normalize("NFC").replace(/[/\\:]/g, "-").replace(NOT_ALLOWED, "").replace(/ +/g, " ").trim().replace(/^[. ]+/, "");
  while (bytesOf(name) > MOST_BYTES) name = [...name].slice(0, -1).join("");
  name = name.trim();
  return RESERVED.test(name) ? `${name}_`.replace(/^([^.]+)(\..*)_$/, "$1_$2") : name;
}
