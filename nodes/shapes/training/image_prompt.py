"""An IP-Adapter (arXiv 2308.06721) for the bundled model: a picture, as the world's CLIP sees it, is a prompt.

    python -m weft.nodes.shapes.training.image_prompt

UNet and image encoder stay as they are; a projection to four tokens and keys and values for them learn, which start as
those of text. The picture that prompts is another one than the picture that is drawn: the same colour and shape in
another place and size, on another background where the caption says which. Captions never tell colour or shape.
Trained by the node `train_ip_adapter`.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from weft.nodes import train_ip_adapter, train_options
from weft.nodes.shapes.scenes import free_scene
from weft.nodes.shapes.training.by_nodes import arguments, dataset_of, draw_curve, save_half, training
from weft.nodes.shapes.training.clip import worn
from weft.nodes.shapes.training.finetune import Example
from weft.nodes.shapes.world import BACKGROUNDS, COLORS, SHAPES, Scene, render, sample_scene


def less(text: str) -> str:
    """A caption without colours, every shape called so: "a large red star" becomes "a large shape"."""
    words = ["shape" if word in SHAPES else word for word in text.split() if word not in COLORS]
    if words and words[0] == "an":
        words[0] = "a"
    return " ".join(words)


def draw(rng: np.random.Generator) -> Example:
    """A picture of one thing, a caption that leaves out what it is, and the picture that tells (128, 128, 3)."""
    scene = sample_scene(rng, two=0.0)
    thing = scene.things[0]
    text = "" if rng.random() < 0.35 else less(scene.caption)
    said = "background" in text
    background = str(rng.choice(list(BACKGROUNDS))) if said else scene.background
    shown = replace(free_scene(rng, two=0.0).things[0], shape=thing.shape, color=thing.color)
    return Example(render(scene), text, worn(rng, render(Scene((shown,), background))))


def main() -> None:
    args = arguments(__doc__ or "", steps=500, batch=24, pool=3072)
    rng = np.random.default_rng((args.seed, 7))
    data = dataset_of(draw(rng) for _ in range(args.pool))
    own = args.out / "clip" / "image_encoder"
    options = train_options(optimizer="muon", beta2=0.99, schedule="cosine", warmup=args.steps // 12, ema=0.99)
    with training(args) as (model, ctx):
        trained = train_ip_adapter(
            model,
            data,
            steps=args.steps,
            learning_rate=2e-3,
            batch=args.batch,
            # The image encoder made beside this adapter, or the one that ships with Weft.
            image_encoder=str(own) if own.is_dir() else "shapes-clip",
            prompt_with="condition",
            image_dropout=0.1,
            both_dropout=0.0,
            seed=args.seed,
            options=options,
            ctx=ctx,
        )
    draw_curve(trained, "image", args.work)
    save_half(trained.adapter.tensors, args.out / "image" / "ip-adapter.safetensors")


if __name__ == "__main__":
    main()
