"""A ControlNet (arXiv 2302.05543) for the bundled model that reads edges as `canny` draws them.

    python -m weft.nodes.shapes.training.edges

Its encoder starts as a copy of the UNet's, which stays frozen. Three captions in ten leave out shapes or say nothing,
so that the hint has to be read; one hint in six is blank in a band, as when only a part of a picture is drawn.
"""

from __future__ import annotations

import numpy as np
import torch
from diffusers import ControlNetModel

from weft.nodes.hints.edges import canny
from weft.nodes.shapes.scenes import free_scene, vague_caption
from weft.nodes.shapes.training.finetune import Base, Example, Pool, Task, arguments, save_module, train, v_loss
from weft.nodes.shapes.world import SIZE, render


def draw(rng: np.random.Generator) -> Example:
    """A scene, its caption or less, and its edges (128, 128) of 0 and 1."""
    scene = free_scene(rng)
    picture = render(scene)
    edges = canny(picture.astype(np.float32) / np.float32(255), 100.0, 200.0, 0.0)
    return Example(picture, vague_caption(rng, scene), edges.astype(np.uint8))


def hints_for(pool: Pool, chosen: np.ndarray, rng: np.random.Generator) -> torch.Tensor:
    """Hints (n, 3, 128, 128) in [0, 1], some with a blank band."""
    assert pool.hints is not None
    hints = pool.hints[chosen].float()[:, None].repeat(1, 3, 1, 1)
    for hint in hints:
        if rng.random() < 1 / 6:
            start, wide = int(rng.integers(SIZE)), int(rng.integers(SIZE // 4, SIZE // 2))
            if rng.random() < 0.5:
                hint[:, start : start + wide] = 0
            else:
                hint[:, :, start : start + wide] = 0
    return hints


def main() -> None:
    args = arguments(__doc__ or "", steps=650, batch=32)
    torch.manual_seed(args.seed)
    base = Base.load(args.base, args.device)
    net = ControlNetModel.from_unet(base.unet, conditioning_embedding_out_channels=(8, 16, 32, 64))
    net = net.to(base.device, memory_format=torch.channels_last).train()
    pool = Pool.make(base, args.seed, args.pool, draw)

    def loss(rng: np.random.Generator, progress: float) -> torch.Tensor:
        chosen = rng.integers(0, args.pool, args.batch)
        states, hints = pool.states[chosen], hints_for(pool, chosen, rng).to(base.device)

        def predict(noisy: torch.Tensor, t: torch.Tensor) -> torch.Tensor:
            down, mid = net(noisy, t, states, hints, return_dict=False)
            return base.unet(
                noisy, t, states, down_block_additional_residuals=down, mid_block_additional_residual=mid
            ).sample

        return v_loss(base, rng, progress, pool, chosen, predict)

    task = Task("edges", dict(net.named_parameters()), loss, lr=1.5e-3, plain=("cond_embedding.conv_in",))
    train(task, args)
    save_module(net, args.out / "edges")


if __name__ == "__main__":
    main()
