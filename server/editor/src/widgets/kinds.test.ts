import { describe, expect, it } from "vitest";
import type { InputType } from "../catalogue/types";
import { alternatives, itemOf, kindOf, takesLiteral } from "./kinds";

const input = (type: string, more: Partial<InputType> = {}): InputType => ({ name: "x", type, required: true, help: "", ...more });
const kind = (type: string, more: Partial<InputType> = {}, node?: string) => kindOf(input(type, more), node);

/** Every form of input that the bundled node types have (GET /api/v1/nodes), with its field. */
const FORMS: readonly [string, Partial<InputType>, string][] = [
  ['"towards" | "away"', { choices: ["towards", "away"] }, "choice"],
  ["bool", {}, "switch"],
  ["bool", { optional: true }, "switch"],
  ["int", { range: [0, 10] }, "number"],
  ["float", {}, "number"],
  ["float", { range: [0, 1], optional: true }, "number"],
  ["int", { range: [0, 9223372036854775807], widget: { kind: "seed" } }, "seed"],
  ["str", {}, "text"],
  ["str", { widget: { kind: "textarea" } }, "text"],
  ["str", { widget: { kind: "colour" } }, "colour"],
  ["str", { widget: { kind: "file" } }, "file"],
  ["str", { widget: { kind: "model", names: ["shapes"] } }, "model"],
  ["str", { widget: { kind: "model" } }, "model"],
  ["str | list[str]", { widget: { kind: "textarea" } }, "union"],
  ["str | int | float | bool", {}, "union"],
  ["dict[str, float]", {}, "table"],
  ["T", {}, "json"],
  ["any", {}, "json"],
  ["Model", {}, "link"],
  ["Conditioning", { optional: true }, "link"],
  ["Image | Latents", {}, "link"],
  ["Trajectory", {}, "link"],
];
const LISTS: readonly [string, Partial<InputType>, string, boolean][] = [
  ["list[Guidance]", {}, "link", false],
  ["list[Image | list[Image]]", {}, "link", false],
  ["list[T]", {}, "json", true],
  ["list[any]", {}, "json", true],
  ["list[float]", { range: [0, 1] }, "number", true],
  ["list[int]", {}, "number", true],
  ["list[str]", {}, "text", true],
  ["list[str]", { widget: { kind: "model", names: ["shapes-dome"] } }, "model", true],
  ["list[str | int | float]", { optional: true }, "union", true],
];

describe("the field of an input", () => {
  it.each(FORMS)("%s %j is a %s", (type, more, expected) => expect(kind(type, more).kind).toBe(expected));
  it.each(LISTS)("%s %j is a list of %s", (type, more, item, literal) => {
    const found = kind(type, { ...more, many: true });
    expect(found).toMatchObject({ kind: "list", item: { kind: item } });
    expect(takesLiteral(found)).toBe(literal);
  });
  it("is segments for up to three short choices, else a list", () => {
    expect(kind('"a" | "b"', { choices: ["a", "b"] })).toMatchObject({ segments: true });
    expect(kind("str", { choices: ["a", "b", "c", "d"] })).toMatchObject({ segments: false });
    expect(kind("str", { choices: ["epsilon prediction", "v prediction", "auto"] })).toMatchObject({ segments: false });
  });
  it("can be painted where it is a mask's file", () => {
    expect(kind("str", { widget: { kind: "file" } }, "load_mask")).toEqual({ kind: "file", mask: true });
    expect(kind("str", { widget: { kind: "file" } }, "load_image")).toEqual({ kind: "file", mask: false });
  });
  it("is there for types that nobody knows", () => {
    for (const type of ["", "Foo", "list[Foo]", "dict[str, Foo]", "list[", "a | b | ", "__proto__", "Foo | str", "list[list[int]]"]) expect(kind(type).kind).toBeTruthy();
  });
});

describe("types as text", () => {
  it("keeps brackets and quotes together", () => {
    expect(alternatives('"<" | "|" | list[a | b]')).toEqual(['"<"', '"|"', "list[a | b]"]);
    expect(itemOf("list[Image | list[Image]]")).toBe("Image | list[Image]");
    expect(itemOf("Image")).toBeNull();
  });
});
