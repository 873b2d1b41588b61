"""A T2I-Adapter (arXiv 2302.08453) for the bundled model that reads flat regions, as `segmentation_palette` draws them.

    python -m weft.nodes.shapes.training.regions

The regions' colours in training are not those of the picture but any others of the world, so that they say where
things are and the prompt says what colour these have. Trained by the node `train_t2i_adapter`.
"""

from __future__ import annotations

from diffusers import T2IAdapter

from weft.nodes import shapes_dataset, train_options, train_t2i_adapter
from weft.nodes.shapes.training.by_nodes import arguments, draw_curve, net_of, training
from weft.nodes.shapes.training.finetune import save_module


def main() -> None:
    args = arguments(__doc__ or "", steps=400, batch=32, pool=2048)
    data = shapes_dataset(pairs="regions", vague=True, count=args.pool, seed=args.seed)
    options = train_options(optimizer="muon", beta2=0.99, schedule="cosine", warmup=args.steps // 12, ema=0.99)
    with training(args) as (model, ctx):
        trained = train_t2i_adapter(
            model,
            data,
            steps=args.steps,
            learning_rate=2e-3,
            batch=args.batch,
            timesteps="uniform",
            seed=args.seed,
            options=options,
            ctx=ctx,
        )
    draw_curve(trained, "regions", args.work)
    save_module(net_of(trained.adapter, T2IAdapter), args.out / "regions")


if __name__ == "__main__":
    main()
