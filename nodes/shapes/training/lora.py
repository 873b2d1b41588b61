"""A LoRA (arXiv 2106.09685) that teaches the bundled model a shape which it never saw: the heart.

    python -m weft.nodes.shapes.training.lora

Rank 8 on the attention and the convolutions of the UNet; the text encoder stays, which spells "heart" from pieces.
One picture in four is of the known world, so that its shapes stay what they are. Trained by the node `train_lora`.
"""

from __future__ import annotations

import argparse
from typing import Any

from weft.nodes import shapes_dataset, train_lora, train_options
from weft.nodes.shapes.training.by_nodes import arguments, draw_curve, save_half, training
from weft.nodes.training.lora_settings import Init
from weft.nodes.values.training import Dataset

OPTIONS: dict[str, Any] = {
    "optimizer": "muon",
    "beta2": 0.99,
    "schedule": "cosine",
    "ema": 0.99,
    "caption_dropout": 0.05,
    "unmasked_weight": 0.33,
}


def teach(name: str, data: Dataset, rank: int, rate: float, args: argparse.Namespace, init: Init = "gaussian") -> None:
    """Train an adapter on pictures, and save it under the name, in diffusers' layout."""
    with training(args) as (model, ctx):
        trained = train_lora(
            model,
            data,
            steps=args.steps,
            learning_rate=rate,
            batch=args.batch,
            rank=rank,
            targets=["attention+conv"],
            init=init,
            seed=args.seed,
            options=train_options(warmup=args.steps // 12, **OPTIONS),
            ctx=ctx,
        )
    draw_curve(trained, name, args.work)
    save_half(trained.adapter.tensors, args.out / name / "pytorch_lora_weights.safetensors")


def main() -> None:
    args = arguments(__doc__ or "", steps=600, batch=16, pool=768)
    data = shapes_dataset(show="heart", count=args.pool, beside=0.15, known=0.25, masks=True, seed=args.seed)
    teach("heart", data, 8, 4e-3, args)


if __name__ == "__main__":
    main()
