/** The catalogue that tests use: Weft's own types, as the engine's side wrote them (tests/server/editor/test_fits.py). */
import { readFileSync } from "node:fs";
import { Catalogue } from "../../catalogue/catalogue";
import type { NodeType } from "../../catalogue/types";
import { readJson } from "../json";

interface Fixture {
  readonly inputs: readonly string[];
  readonly fits: { readonly [output: string]: readonly string[] };
  readonly nodes: readonly NodeType[];
}

export function fixture(): Fixture {
  const read = readJson(readFileSync(new URL("../../../tests/fits.json", import.meta.url), "utf8"));
  if (!("value" in read)) throw new Error(read.problem);
  return read.value as unknown as Fixture;
}

export function testCatalogue(): Catalogue {
  return new Catalogue(fixture().nodes);
}

/** Types that random workflows are made of: what takes, gives, adds up and goes through. */
export const SOME_TYPES = [
  "load_model", "encode_prompt", "cfg", "sega", "denoise", "decode", "save_image", "rescale_guidance", "during", "map_over", "collect",
  "controlnet", "load_controlnet", "load_image", "image_grid", "join_text", "missing_type",
];
