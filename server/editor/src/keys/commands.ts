/** Commands by name: what keys, menus and the list of commands do. Each part of the editor brings its own. */
import { usePreferences } from "../state/preferences";
import { isSingle, matches, type Press } from "./press";

/** Where a command's keys work. A region says which it is by `data-scope`. */
export type Scope = "anywhere" | "canvas" | "outline" | "runs" | "gallery" | "compare" | "app";

export interface Command {
  readonly id: string;
  readonly label: string;
  /** Heading in the list of keys: "Move", "Change", "Run". */
  readonly group: string;
  readonly keys: readonly string[];
  readonly where: Scope | readonly Scope[];
  /** Other words by which it is found. */
  readonly words?: string;
  readonly icon?: string;
  /** Whether it can be done now; absent: always. */
  when?(): boolean;
  run(): void;
  /** Its keys work in text fields too. */
  readonly inFields?: boolean;
  /** Its keys work while a dialog is open: what it does is no surprise there. */
  readonly inDialogs?: boolean;
  /** Not in the list of commands: it makes sense by its key alone. */
  readonly unlisted?: boolean;
}

const registry = new Map<string, Command>();

/** Adds commands; gives what takes them away. A later one of the same id takes the place of an earlier one. */
export function registerCommands(commands: readonly Command[]): () => void {
  for (const command of commands) registry.set(command.id, command);
  return () => {
    for (const command of commands) if (registry.get(command.id) === command) registry.delete(command.id);
  };
}

export function allCommands(): readonly Command[] {
  return [...registry.values()];
}

export function commandOf(id: string): Command | undefined {
  return registry.get(id);
}

/** The keys that a command has now: the reader's own, else those it came with. */
export function keysOf(command: Command): readonly string[] {
  const own = usePreferences.getState().keys;
  return Object.hasOwn(own, command.id) ? (own[command.id] ?? []) : command.keys;
}

/** Does a command by its id, where it can be done. */
export function runCommand(id: string): boolean {
  const command = registry.get(id);
  if (!command || command.when?.() === false) return false;
  command.run();
  return true;
}

function worksIn(command: Command, scopes: ReadonlySet<string>): boolean {
  const where = typeof command.where === "string" ? [command.where] : command.where;
  return where.some((scope) => scope === "anywhere" || scopes.has(scope));
}

/** Keys that a text field needs for itself. */
const OF_FIELDS = new Set(["a", "c", "v", "x", "z", "y", "ArrowLeft", "ArrowRight", "ArrowUp", "ArrowDown", "Backspace", "Delete", "Home", "End"]);

export interface Place {
  /** The scopes around what has the focus, the nearest first. */
  readonly scopes: readonly string[];
  /** Whether text is being typed there. */
  readonly typing: boolean;
  /** Whether it is in a dialog: what stands behind is not to change. */
  readonly dialog?: boolean;
}

/** The command that a press means at a place; undefined when it means none there. */
export function commandFor(press: Press, place: Place): Command | undefined {
  const { singleKeys } = usePreferences.getState();
  const scopes = new Set(place.scopes);
  let best: Command | undefined;
  let nearest = Number.POSITIVE_INFINITY;
  for (const command of registry.values()) {
    const key = keysOf(command).find((text) => matches(text, press));
    if (key === undefined) continue;
    if (isSingle(key) && (!singleKeys || place.typing || (place.scopes.length === 0 && command.where === "canvas"))) continue;
    if (place.typing && !command.inFields && (OF_FIELDS.has(press.key) || OF_FIELDS.has(press.key.toLowerCase()))) continue;
    if (place.typing && !command.inFields && !press.ctrlKey && !press.metaKey && !press.altKey && !/^F\d+$/.test(press.key)) continue;
    if (place.dialog && !command.inDialogs) continue;
    if (!worksIn(command, scopes)) continue;
    const where = typeof command.where === "string" ? [command.where] : command.where;
    const distance = Math.min(...where.map((scope) => (scope === "anywhere" ? 99 : place.scopes.indexOf(scope))).filter((at) => at >= 0));
    if (distance >= nearest || command.when?.() === false) continue;
    best = command;
    nearest = distance;
  }
  return best;
}
