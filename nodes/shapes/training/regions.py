"""A T2I-Adapter (arXiv 2302.08453) for the bundled model that reads flat regions, as `segmentation_palette` draws them.

    python -m weft.nodes.shapes.training.regions

The regions' colours in training are not those of the picture but any others of the world, so that they say where
things are and the prompt says what colour these have.
"""

from __future__ import annotations

import numpy as np
import torch
from diffusers import T2IAdapter

from weft.nodes.hints.flat import flatten
from weft.nodes.shapes.scenes import free_scene, repainted, vague_caption
from weft.nodes.shapes.training.finetune import Base, Example, Pool, Task, arguments, save_module, train, v_loss
from weft.nodes.shapes.world import palette, render


def draw(rng: np.random.Generator) -> Example:
    """A scene, its caption or less, and its regions in other colours (3, 128, 128)."""
    scene = free_scene(rng)
    painted = render(repainted(rng, scene))
    regions = flatten(painted.astype(np.float32) / np.float32(255), palette(), 0.002)
    hint = np.round(regions * 255).astype(np.uint8).transpose(2, 0, 1)
    return Example(render(scene), vague_caption(rng, scene), np.ascontiguousarray(hint))


def main() -> None:
    args = arguments(__doc__ or "", steps=400, batch=32, pool=2048)
    torch.manual_seed(args.seed)
    base = Base.load(args.base, args.device)
    channels = list(base.unet.config.block_out_channels)
    net = T2IAdapter(in_channels=3, channels=channels, num_res_blocks=2, downscale_factor=8).to(base.device).train()
    pool = Pool.make(base, args.seed, args.pool, draw)

    def loss(rng: np.random.Generator, progress: float) -> torch.Tensor:
        chosen = rng.integers(0, args.pool, args.batch)
        assert pool.hints is not None
        states, hints = pool.states[chosen], pool.hints[chosen].to(base.device).float() / 255

        def predict(noisy: torch.Tensor, t: torch.Tensor) -> torch.Tensor:
            return base.unet(noisy, t, states, down_intrablock_additional_residuals=net(hints)).sample

        return v_loss(base, rng, progress, pool, chosen, predict)

    task = Task("regions", dict(net.named_parameters()), loss, lr=2e-3)
    train(task, args)
    save_module(net, args.out / "regions")


if __name__ == "__main__":
    main()
