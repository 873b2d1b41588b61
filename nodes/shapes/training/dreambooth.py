"""DreamBooth (arXiv 2208.12242) for the bundled model: a rare word and a class, a few pictures, and all of the UNet.

    python -m weft.nodes.shapes.training.dreambooth

Six pictures show a house, which the model never saw; their captions call it "sks shape", since "shape" is the class
that the model has a word for. Beside each comes a picture that the model itself drew (the paper's prior preservation),
so that it keeps what it knew. Trained by the node `train_dreambooth`. Writes `dreambooth/unet` in diffusers' layout,
for `load_dreambooth` over "shapes": whole weights, too large to ship beside the other variants.
"""

from __future__ import annotations

import numpy as np

from weft.nodes import class_images, join_datasets, train_dreambooth, train_options
from weft.nodes.shapes.scenes import full_caption
from weft.nodes.shapes.training.by_nodes import arguments, dataset_of, draw_curve, training
from weft.nodes.shapes.training.finetune import Example, save_module
from weft.nodes.shapes.world import BACKGROUNDS, COLORS, LARGE, SIZE, Scene, Thing, render, sample_scene, with_article
from weft.nodes.training.denoiser import own_copy

WORDS = "sks shape"
INSTANCES = 6
"""How many pictures of the new thing. Of the model's own there are --pool."""
EACH = 4
"""Pictures that the model draws of each prompt."""
DRAWN = 15
"""Steps of each of the model's own pictures, at guidance scale 3."""


def instance(number: int) -> Example:
    """One of the few pictures: a house in a colour, on a background and of a size of its own."""
    rng = np.random.default_rng((9, number))
    color, background = list(COLORS)[(3 * number) % len(COLORS)], list(BACKGROUNDS)[number % len(BACKGROUNDS)]
    x, y = SIZE / 2 + rng.uniform(-8, 8, 2)
    thing = Thing("house", color, float(x), float(y), 56 + 4.0 * (number % 4))
    words = f"large {color}" if thing.size >= LARGE[0] else color
    return Example(render(Scene((thing,), background)), f"{with_article(words)} {WORDS} on a {background} background")


def prompts(seed: int, count: int) -> list[str]:
    """What the model is asked for to keep what it knew: two of three are of the class without the rare word.

    The others are any scene's. With one of three, told "a shape" it drew a house in seven of eight pictures.
    """
    rng, found = np.random.default_rng((seed, 8)), []
    for number in range(count):
        scene = sample_scene(rng)
        text = scene.caption
        if number % 3:
            text = full_caption(rng, [scene.things[0]], scene.background).replace(scene.things[0].shape, "shape")
        found.append(text)
    return found


def main() -> None:
    args = arguments(__doc__ or "", steps=200, batch=6, pool=96, out="build/variants/out")
    options = train_options(
        optimizer="muon", beta2=0.99, schedule="cosine", warmup=args.steps // 12, ema=0.97, caption_dropout=0.0
    )
    with training(args) as (model, ctx):
        texts = prompts(args.seed, max(1, args.pool // EACH))
        own = class_images(
            model, texts[0], EACH, DRAWN, 3.0, batch=EACH, more_prompts=texts[1:], seed=args.seed, ctx=ctx
        )
        trained = train_dreambooth(
            model,
            join_datasets([dataset_of(map(instance, range(INSTANCES))), own]),
            steps=args.steps,
            learning_rate=4e-4,
            batch=args.batch,
            seed=args.seed,
            options=options,
            ctx=ctx,
        )
        with model.parts() as parts:
            unet = own_copy(parts.unet)
    draw_curve(trained, "dreambooth", args.work)
    tensors = trained.adapter.tensors
    unet.load_state_dict({name.removeprefix("unet."): tensor for name, tensor in tensors.items()})
    save_module(unet, args.out / "dreambooth" / "unet")


if __name__ == "__main__":
    main()
