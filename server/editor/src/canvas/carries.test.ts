import { expect, test } from "vitest";
import { carried } from "./carries";
import { steppedWidth } from "./WidthGrip";

test("a thread says its kind, how large its picture was and how many items there were", () => {
  const told = { nodes: new Map([["sketch", {}], ["image", { items: { done: 20, of: 20 } }]]), outputs: [{ node: "save", width: 128, height: 96 }] };
  expect(carried("Image", "sketch", ["save"], told)).toBe("Image 128 × 96");
  expect(carried("Image", "sketch", ["other"], told)).toBe("Image");
  expect(carried("Image", "image", [], told)).toBe("Image, 20 items");
  expect(carried("Model", "model", ["save"], undefined)).toBe("Model");
});

test("widths of cards are steps of 4 within limits", () => {
  expect([steppedWidth(149), steppedWidth(150.1), steppedWidth(3), steppedWidth(9999)]).toEqual([148, 152, 128, 640]);
});
