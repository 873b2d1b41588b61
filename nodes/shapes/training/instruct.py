"""The bundled model taught to edit as InstructPix2Pix does (arXiv 2211.09800): four more channels hold a picture.

    python -m weft.nodes.shapes.training.instruct

Instructions change a colour ("make it blue", "make the circle blue"), a shape ("make it a star") or the background
("make the background navy"); everything else stays. Text, picture or both are left out at times, for guidance.
The four new channels of the first convolution start from zero, as in the paper; all of the UNet learns.
"""

from __future__ import annotations

import numpy as np
import torch
from diffusers import UNet2DConditionModel

from weft.nodes.shapes.edits import edit
from weft.nodes.shapes.training.finetune import Base, Example, Pool, Task, arguments, save_module, train, v_loss
from weft.nodes.shapes.world import render

DROP = 0.05


def draw(rng: np.random.Generator) -> Example:
    """A picture, an instruction, and the picture that follows it."""
    words, before, after = edit(rng)
    return Example(render(after), words, source=render(before))


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
