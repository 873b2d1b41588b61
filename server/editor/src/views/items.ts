/** Commands as items of a menu. */
import { commandOf, keysOf, runCommand } from "../keys/commands";
import type { MenuItem } from "./Menu";

/** The commands of these ids that are there; `-` draws a line. */
export function commandItems(ids: readonly string[]): MenuItem[] {
  const items: MenuItem[] = [];
  let separate = false;
  for (const id of ids) {
    if (id === "-") {
      separate = items.length > 0;
      continue;
    }
    const command = commandOf(id);
    if (!command) continue;
    const keys = keysOf(command)[0];
    items.push({
      id,
      label: command.label,
      ...(command.icon && { icon: command.icon }),
      ...(keys !== undefined && { keys }),
      ...(separate && { separate }),
      disabled: command.when?.() === false,
      run: () => void runCommand(id),
    });
    separate = false;
  }
  return items;
}
