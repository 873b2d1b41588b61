"""A ControlNet (arXiv 2302.05543) for the bundled model that reads edges as `canny` draws them.

    python -m weft.nodes.shapes.training.edges

Its encoder starts as a copy of the UNet's, which stays frozen. Three captions in ten leave out shapes or say nothing,
so that the hint has to be read; one hint in six is blank in a band, as when only a part of a picture is drawn. Trained
by the node `train_controlnet`.
"""

from __future__ import annotations

import numpy as np
from diffusers import ControlNetModel

from weft.nodes import train_controlnet, train_options
from weft.nodes.hints.edges import canny
from weft.nodes.shapes.scenes import free_scene, vague_caption
from weft.nodes.shapes.training.by_nodes import arguments, dataset_of, draw_curve, net_of, training
from weft.nodes.shapes.training.finetune import Example, save_module
from weft.nodes.shapes.world import SIZE, render


def draw(rng: np.random.Generator) -> Example:
    """A scene, its caption or less, and its edges (128, 128), white on black, some with a blank band."""
    scene = free_scene(rng)
    picture = render(scene)
    edges = canny(picture.astype(np.float32) / np.float32(255), 100.0, 200.0, 0.0)
    hint = np.round(edges * 255).astype(np.uint8)
    if rng.random() < 1 / 6:
        start, wide = int(rng.integers(SIZE)), int(rng.integers(SIZE // 4, SIZE // 2))
        if rng.random() < 0.5:
            hint[start : start + wide] = 0
        else:
            hint[:, start : start + wide] = 0
    return Example(picture, vague_caption(rng, scene), hint)


def main() -> None:
    args = arguments(__doc__ or "", steps=650, batch=32, pool=4096)
    rng = np.random.default_rng((args.seed, 7))
    data = dataset_of(draw(rng) for _ in range(args.pool))
    options = train_options(optimizer="muon", beta2=0.99, schedule="cosine", warmup=args.steps // 12, ema=0.99)
    with training(args) as (model, ctx):
        trained = train_controlnet(
            model,
            data,
            steps=args.steps,
            learning_rate=1.5e-3,
            batch=args.batch,
            embedding=[8, 16, 32, 64],
            seed=args.seed,
            options=options,
            ctx=ctx,
        )
    draw_curve(trained, "edges", args.work)
    save_module(net_of(trained.adapter, ControlNetModel), args.out / "edges")


if __name__ == "__main__":
    main()
