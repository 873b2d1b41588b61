"""The bundled model taught to read depth in a fifth channel, as stable-diffusion-2-depth does.

    python -m weft.nodes.shapes.training.depth

Depth is what the node `depth` makes by the rule of shapes, brought to latents' size as `depth_control` and diffusers'
pipeline bring it. Three captions in ten leave out shapes or say nothing; one map in ten is flat.
"""

from __future__ import annotations

import numpy as np
import torch
from diffusers import UNet2DConditionModel
from torch.nn import functional

from weft.nodes.hints.flat import backdrop_depth
from weft.nodes.shapes.scenes import free_scene, vague_caption
from weft.nodes.shapes.training.finetune import Base, Example, Pool, Task, arguments, save_module, train, v_loss
from weft.nodes.shapes.world import render


def draw(rng: np.random.Generator) -> Example:
    """A scene, its caption or less, and its depth (1, 16, 16) in [-1, 1]."""
    scene = free_scene(rng)
    picture = render(scene)
    return Example(picture, vague_caption(rng, scene), depth_channel(picture))


def depth_channel(picture: np.ndarray) -> np.ndarray:
    """The fifth channel (1, 16, 16) of a picture (128, 128, 3)."""
    near = torch.from_numpy(backdrop_depth(picture.astype(np.float32) / np.float32(255)))[None, None]
    small = functional.interpolate(near, size=(16, 16), mode="bicubic", align_corners=False)
    low, high = small.min(), small.max()
    return np.asarray((2 * (small - low) / (high - low).clamp(min=1e-6) - 1)[0], np.float32)


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
    args = arguments(__doc__ or "", steps=400, batch=32, pool=3072)
    torch.manual_seed(args.seed)
    base = Base.load(args.base, args.device)
    unet = widened(base.unet, 5)
    pool = Pool.make(base, args.seed, args.pool, draw)

    def loss(rng: np.random.Generator, progress: float) -> torch.Tensor:
        chosen = rng.integers(0, args.pool, args.batch)
        assert pool.hints is not None
        states, depth = pool.states[chosen], pool.hints[chosen].to(base.device)
        depth[torch.from_numpy(rng.random(args.batch) < 0.1)] = 0

        def predict(noisy: torch.Tensor, t: torch.Tensor) -> torch.Tensor:
            return unet(torch.cat([noisy, depth], dim=1), t, states).sample

        return v_loss(base, rng, progress, pool, chosen, predict)

    parameters = dict(unet.named_parameters())
    task = Task("depth", parameters, loss, lr=8e-4, rates={"conv_in": 2.0}, plain=("conv_in", "conv_out"))
    train(task, args)
    save_module(unet, args.out / "depth" / "unet")


if __name__ == "__main__":
    main()
