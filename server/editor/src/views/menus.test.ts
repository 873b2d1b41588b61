import { describe, expect, it } from "vitest";
import { commands as ofCanvas } from "../canvas/commands";
import type { Command } from "../keys/commands";
import { registerPanels } from "../keys/panels";
import { panels } from "../panels";
import { commands as ofPanels } from "../panels/commands";
import { commands as ofFrame, panelCommands } from "./commands";
import { WAYS } from "./RunButton";
import { HINTS } from "./StatusBar";
import { OF_TAB } from "./Tabs";
import { BRAND } from "./TopBar";

registerPanels(panels);
const all: readonly Command[] = [...ofFrame, ...ofCanvas, ...ofPanels, ...panelCommands()];
const ids = new Set(all.map(({ id }) => id));
const NAMED = [...WAYS, ...OF_TAB, ...BRAND, ...Object.values(HINTS).flatMap((list) => list.map(([id]) => id)), "view.preferences", "help.keys", "problems.next", "file.saveAs", "canvas.frame-all"];

describe("menus and hints", () => {
  it("name commands that there are", () => {
    expect(NAMED.filter((id) => id !== "-" && !id.startsWith("keys ") && !ids.has(id))).toEqual([]);
  });
  it("each command has an id of its own, and no key that another has at the same place", () => {
    expect(all.length).toBe(ids.size);
    const taken = new Map<string, string>();
    const twice: string[] = [];
    for (const command of all) {
      for (const scope of [command.where].flat()) {
        for (const key of command.keys) {
          const at = `${scope} ${key}`;
          const other = taken.get(at);
          if (other !== undefined) twice.push(`${at}: ${other}, ${command.id}`);
          taken.set(at, command.id);
        }
      }
    }
    expect(twice).toEqual([]);
  });
});
