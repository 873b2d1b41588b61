"""DreamBooth (arXiv 2208.12242) for the bundled model: a rare word and a class, a few pictures, and all of the UNet.

    python -m weft.nodes.shapes.training.dreambooth

Six pictures show a house, which the model never saw; their captions call it "sks shape", since "shape" is the class
that the model has a word for. Half of each batch are pictures that the model itself drew (the paper's prior
preservation), so that it keeps what it knew. Writes `dreambooth/unet` in diffusers' layout, for `load_dreambooth` over
"shapes": whole weights, too large to ship beside the other variants.
"""

from __future__ import annotations

import numpy as np
import torch

from weft.nodes.shapes.scenes import full_caption
from weft.nodes.shapes.training.finetune import Base, Example, Pool, Task, arguments, save_module, train, v_loss
from weft.nodes.shapes.world import BACKGROUNDS, COLORS, LARGE, SIZE, Scene, Thing, render, sample_scene, with_article

WORDS = "sks shape"
INSTANCES = 6
"""How many pictures of the new thing. Of the model's own there are --pool."""
DRAWN = 15
"""Steps of DDIM for each of the model's own pictures, at guidance scale 3."""


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


@torch.no_grad()
def drawn(base: Base, texts: list[str], seed: int) -> torch.Tensor:
    """The model's own pictures of prompts, as latents (n, 4, 16, 16)."""
    from diffusers import DDIMScheduler

    steps = DDIMScheduler.from_config(base.scheduler.config)
    steps.set_timesteps(DRAWN)
    states, empty, parts = base.states(texts), base.states([""]), []
    generator = torch.Generator().manual_seed(seed)
    for first in range(0, len(texts), 16):
        own = states[first : first + 16]
        both = torch.cat([empty.expand_as(own), own])
        latents = torch.randn(len(own), 4, 16, 16, generator=generator).to(base.device)
        for t in steps.timesteps:
            without, with_ = base.unet(torch.cat([latents] * 2), t, both).sample.chunk(2)
            latents = steps.step(without + 3.0 * (with_ - without), t, latents).prev_sample
        parts.append(latents)
    return torch.cat(parts)


def pool_of(base: Base, seed: int, count: int) -> Pool:
    """First the few pictures, then the model's own: nothing of them is stored, and one seed gives the same ones."""
    texts = prompts(seed, count)
    own = drawn(base, texts, seed)
    numbers = iter(range(INSTANCES))
    few = Pool.make(base, seed, INSTANCES, lambda rng: instance(next(numbers)))
    return Pool(
        latents=torch.cat([few.latents, own]),
        objects=torch.cat([few.objects, few.objects.new_zeros(len(own), *few.objects.shape[1:])]),
        captions=[*few.captions, *texts],
        states=torch.cat([few.states, base.states(texts)]),
        hints=None,
        sources=None,
        empty=few.empty,
    )


def main() -> None:
    args = arguments(__doc__ or "", steps=200, batch=12, pool=96, out="build/variants/out")
    torch.manual_seed(args.seed)
    base = Base.load(args.base, args.device)
    pool = pool_of(base, args.seed, args.pool)
    half = args.batch // 2

    def loss(rng: np.random.Generator, progress: float) -> torch.Tensor:
        few = rng.integers(0, INSTANCES, half)
        chosen = np.concatenate([few, INSTANCES + rng.integers(0, args.pool, args.batch - half)])
        states = pool.states[chosen]

        def predict(noisy: torch.Tensor, t: torch.Tensor) -> torch.Tensor:
            return base.unet(noisy, t, states).sample

        return v_loss(base, rng, progress, pool, chosen, predict)

    base.unet.train()
    parameters = dict(base.unet.named_parameters())
    train(Task("dreambooth", parameters, loss, lr=4e-4, ema=0.97, plain=("conv_in", "conv_out")), args)
    save_module(base.unet, args.out / "dreambooth" / "unet")


if __name__ == "__main__":
    main()
