"""A LoRA (arXiv 2106.09685) that teaches the bundled model a shape which it never saw: the heart.

    python -m weft.nodes.shapes.training.lora

Rank 8 on the attention and the convolutions of the UNet; the text encoder stays, which spells "heart" from pieces.
Two pictures in five are of the known world, so that its shapes stay what they are. Needs peft (a development package).
"""

from __future__ import annotations

import argparse
from collections.abc import Callable

import numpy as np
import torch
from safetensors.torch import save_file

from weft.nodes.shapes.training.concepts import example
from weft.nodes.shapes.training.finetune import Base, Example, Pool, Task, arguments, train, v_loss

LAYERS = ["to_q", "to_k", "to_v", "to_out.0", "proj_in", "proj_out", "conv1", "conv2"]


def teach(name: str, rank: int, draw: Callable[[np.random.Generator], Example], args: argparse.Namespace) -> None:
    """Train an adapter on pictures as `draw` makes them, and save it under the name, in diffusers' layout."""
    from peft import LoraConfig, get_peft_model_state_dict

    torch.manual_seed(args.seed)
    base = Base.load(args.base, args.device)
    base.unet.add_adapter(LoraConfig(r=rank, lora_alpha=rank, target_modules=LAYERS))
    parameters = {key: p for key, p in base.unet.named_parameters() if ".lora_" in key}
    pool = Pool.make(base, args.seed, args.pool, draw)

    def loss(rng: np.random.Generator, progress: float) -> torch.Tensor:
        chosen = rng.integers(0, args.pool, args.batch)
        states = pool.states[chosen]
        states[torch.from_numpy(rng.random(args.batch) < 0.05)] = pool.empty
        return v_loss(base, rng, progress, pool, chosen, lambda noisy, t: base.unet(noisy, t, states).sample)

    train(Task(name, parameters, loss, lr=2e-3), args)
    (args.out / name).mkdir(parents=True, exist_ok=True)
    tensors = {f"unet.{key}": t.half().contiguous().cpu() for key, t in get_peft_model_state_dict(base.unet).items()}
    save_file(tensors, args.out / name / "pytorch_lora_weights.safetensors", metadata={"format": "pt"})
    print(f"{len(tensors)} tensors, {sum(t.nbytes for t in tensors.values()) / 1e6:.2f} MB", flush=True)


def main() -> None:
    args = arguments(__doc__ or "", steps=700, batch=24, pool=1536)
    teach("heart", 8, lambda rng: example(rng, "heart", "heart", known=0.4), args)


if __name__ == "__main__":
    main()
