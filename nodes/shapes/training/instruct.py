"""The bundled model taught to edit as InstructPix2Pix does (arXiv 2211.09800): four more channels hold a picture.

    python -m weft.nodes.shapes.training.instruct

Instructions change a colour ("make it blue", "make the circle blue"), a shape ("make it a star") or the background
("make the background navy"); everything else stays. Text, picture or both are left out at times, for guidance.
The four new channels of the first convolution start from zero, as in the paper; all of the UNet learns.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from diffusers import UNet2DConditionModel

from weft.nodes.shapes.training.finetune import Base, Example, Pool, Task, arguments, save_module, train, v_loss
from weft.nodes.shapes.training.scenes import free_scene
from weft.nodes.shapes.world import BACKGROUNDS, COLORS, SHAPES, Scene, render, sample_scene, with_article

DROP = 0.05


def instruction(rng: np.random.Generator, scene: Scene) -> tuple[str, Scene]:
    """A sentence, and the scene that it makes of this one."""
    things, chance = list(scene.things), rng.random()
    if chance < 0.2:
        background = _other(rng, list(BACKGROUNDS), scene.background)
        return f"make the background {background}", Scene(scene.things, background)
    k = int(rng.integers(len(things)))
    thing, names = things[k], [t.shape for t in things]
    it = "it" if len(things) == 1 and rng.random() < 0.6 else f"the {thing.shape}"
    if names.count(thing.shape) > 1:
        it = f"the {thing.color} {thing.shape}"
        if (thing.color, thing.shape) == (things[1 - k].color, things[1 - k].shape):
            things = [thing]  # nobody could say which of two equal ones is meant
            k, it = 0, "it"
    scene = Scene(tuple(things), scene.background)
    if chance < 0.8:
        color = _other(rng, list(COLORS), thing.color)
        things[k], words = replace(thing, color=color), f"make {it} {color}"
    else:
        shape = SHAPES[(SHAPES.index(thing.shape) + 1 + int(rng.integers(3))) % 4]
        things[k], words = replace(thing, shape=shape), f"make {it} {with_article(shape)}"
    return words, Scene(tuple(things), scene.background)


def _other(rng: np.random.Generator, names: list[str], but: str) -> str:
    return str(rng.choice([name for name in names if name != but]))


def draw(rng: np.random.Generator) -> Example:
    """A picture, an instruction, and the picture that follows it."""
    scene = sample_scene(rng) if rng.random() < 0.5 else free_scene(rng)
    words, after = instruction(rng, scene)
    if len(after.things) < len(scene.things):
        scene = Scene((next(t for t in scene.things if t.box == after.things[0].box),), scene.background)
    return Example(render(after), words, source=render(scene))


def widened(unet: UNet2DConditionModel, channels: int) -> UNet2DConditionModel:
    """A copy of the denoiser that reads `channels` channels; the new ones have no effect yet."""
    wide = UNet2DConditionModel.from_config({**unet.config, "in_channels": channels})
    state = {name: tensor.clone() for name, tensor in unet.state_dict().items()}
    old = state["conv_in.weight"]
    state["conv_in.weight"] = old.new_zeros(old.shape[0], channels, *old.shape[2:])
    state["conv_in.weight"][:, : old.shape[1]] = old
    wide.load_state_dict(state)
    return wide.to(unet.device, memory_format=torch.channels_last).train()


def main() -> None:
    args = arguments(__doc__ or "", steps=1400, batch=32)
    torch.manual_seed(args.seed)
    base = Base.load(args.base, args.device)
    unet = widened(base.unet, 8)
    pool = Pool.make(base, args.seed, args.pool, draw)

    def loss(rng: np.random.Generator, progress: float) -> torch.Tensor:
        chosen = rng.integers(0, args.pool, args.batch)
        assert pool.sources is not None
        states, sources = pool.states[chosen], pool.sources[chosen]
        dropped = torch.from_numpy(rng.random(args.batch)).to(base.device)
        states[dropped < 2 * DROP] = pool.empty
        sources[(dropped >= DROP) & (dropped < 3 * DROP)] = 0

        def predict(noisy: torch.Tensor, t: torch.Tensor) -> torch.Tensor:
            return unet(torch.cat([noisy, sources], dim=1), t, states).sample

        return v_loss(base, rng, progress, pool, chosen, predict)

    parameters = dict(unet.named_parameters())
    task = Task("edit", parameters, loss, lr=1e-3, rates={"conv_in": 2.0}, plain=("conv_in", "conv_out"))
    train(task, args)
    save_module(unet, args.out / "edit" / "unet")


if __name__ == "__main__":
    main()
