import { beforeEach, describe, expect, it } from "vitest";
import { usePreferences } from "../state/preferences";
import { type Command, commandFor, registerCommands } from "./commands";

const command = (id: string, keys: string[], where: Command["where"], more: Partial<Command> = {}): Command => ({ id, label: id, group: "Test", keys, where, run() {}, ...more });
const press = (key: string, more: Partial<{ ctrlKey: boolean; altKey: boolean; shiftKey: boolean }> = {}) => ({ key, ctrlKey: false, metaKey: false, altKey: false, shiftKey: false, ...more });
const canvas = { scopes: ["canvas"], typing: false };

let off = () => {};
beforeEach(() => {
  off();
  usePreferences.setState({ keys: {}, singleKeys: true });
  off = registerCommands([
    command("save", ["Ctrl+S"], "anywhere", { inFields: true, inDialogs: true }),
    command("undo", ["Ctrl+Z"], "anywhere"),
    command("help", ["F1"], "anywhere"),
    command("mute", ["M"], "canvas"),
    command("delete", ["Delete"], "canvas"),
    command("row", ["Delete"], "outline"),
    command("any", ["Delete"], "anywhere"),
    command("never", ["Alt+N"], "anywhere", { when: () => false }),
    command("constructor", ["Alt+C"], "anywhere"),
  ]);
});

describe("commandFor", () => {
  const found = (...args: Parameters<typeof commandFor>) => commandFor(...args)?.id;
  it("takes single keys only where they are meant", () => {
    expect(found(press("m"), canvas)).toBe("mute");
    expect(found(press("m"), { scopes: [], typing: false })).toBeUndefined();
    expect(found(press("m"), { scopes: ["canvas"], typing: true })).toBeUndefined();
    usePreferences.setState({ singleKeys: false });
    expect(found(press("m"), canvas)).toBeUndefined();
    expect(found(press("Delete"), canvas)).toBe("delete");
  });
  it("takes the nearest place", () => {
    expect(found(press("Delete"), { scopes: ["outline", "canvas"], typing: false })).toBe("row");
    expect(found(press("Delete"), { scopes: ["runs"], typing: false })).toBe("any");
  });
  it("leaves to a field what is the field's", () => {
    const field = { scopes: ["canvas"], typing: true };
    expect(found(press("z", { ctrlKey: true }), field)).toBeUndefined();
    expect(found(press("z", { ctrlKey: true }), canvas)).toBe("undo");
    expect(found(press("s", { ctrlKey: true }), field)).toBe("save");
    expect(found(press("F1"), field)).toBe("help");
    expect(found(press("Delete"), field)).toBeUndefined();
  });
  it("changes nothing behind a dialog", () => {
    const dialog = { scopes: [], typing: false, dialog: true };
    expect(found(press("z", { ctrlKey: true }), dialog)).toBeUndefined();
    expect(found(press("Delete"), dialog)).toBeUndefined();
    expect(found(press("s", { ctrlKey: true }), dialog)).toBe("save");
    expect(found(press("s", { ctrlKey: true }), { ...dialog, typing: true })).toBe("save");
  });
  it("goes by the reader's own keys, whatever a command is called", () => {
    expect(found(press("c", { altKey: true }), canvas)).toBe("constructor");
    usePreferences.setState({ keys: { mute: ["Ctrl+M"], undo: [] } });
    expect(found(press("m"), canvas)).toBeUndefined();
    expect(found(press("m", { ctrlKey: true }), canvas)).toBe("mute");
    expect(found(press("z", { ctrlKey: true }), canvas)).toBeUndefined();
    expect(found(press("n", { altKey: true }), canvas)).toBeUndefined();
  });
});
