/** Documents that scenarios begin with. */

/** As much of a document as scenarios look at. */
export interface Doc {
  weft: number;
  meta?: Record<string, unknown>;
  nodes: Record<string, DocNode>;
  definitions?: Record<string, { inputs?: Record<string, unknown>; outputs?: Record<string, unknown>; nodes: Record<string, DocNode>; ui?: Record<string, unknown> }>;
  parameters?: Record<string, { input: string }>;
  ui?: Record<string, Record<string, unknown>>;
}

export interface DocNode {
  type: string;
  mode?: string;
  // Values of any kind: scenarios compare them with what they expect.
  inputs?: Record<string, unknown>;
  [key: string]: unknown;
}

export const link = (to: string): { link: string } => ({ link: to });

/** Text to image with the bundled model, few steps. */
export function textToImage(inputs: { readonly seed?: unknown; readonly steps?: number; readonly text?: string } = {}): Doc {
  const { seed = 7, steps = 2, text = "a red circle" } = inputs;
  return {
    weft: 1,
    nodes: {
      model: { type: "load_model", inputs: { source: "shapes" } },
      prompt: { type: "encode_prompt", inputs: { model: link("model"), text } },
      cfg: { type: "cfg", inputs: { prompt: link("prompt") } },
      denoise: { type: "denoise", inputs: { model: link("model"), guidance: [link("cfg")], steps, seed } },
      image: { type: "decode", inputs: { model: link("model"), latents: link("denoise.latents") } },
      save: { type: "save_image", inputs: { image: link("image"), name: "red" } },
    },
  };
}
