"""A textual inversion (arXiv 2208.01618) for the bundled model: vectors that stand for a shape it never saw.

    python -m weft.nodes.shapes.training.inversion

The shape is the dome, round above and flat below: a frozen model can only draw what it can put together from what it
knows, and this one lies between the circle, the square and the triangle. Trained where there is much noise, since a
word says what is drawn and not how fine it is. Trained by the node `train_textual_inversion`.
"""

from __future__ import annotations

from weft.nodes import shapes_dataset, train_options, train_textual_inversion
from weft.nodes.shapes.training.by_nodes import arguments, draw_curve, save_half, training

TOKEN, START = "<dome>", "circle square triangle circle square triangle circle square"


def main() -> None:
    args = arguments(__doc__ or "", steps=240, batch=24, pool=768)
    data = shapes_dataset(show="dome", word=TOKEN, count=args.pool, beside=0.15, masks=True, seed=args.seed)
    options = train_options(
        optimizer="adamw",
        beta2=0.99,
        schedule="cosine",
        warmup=min(20, args.steps // 2),
        ema=0.97,
        unmasked_weight=0.2,
        min_timestep=400,
    )
    with training(args) as (model, ctx):
        trained = train_textual_inversion(
            model,
            data,
            [TOKEN],
            [START],
            steps=args.steps,
            learning_rate=8e-3,
            batch=args.batch,
            vectors=len(START.split()),
            templates="none",
            seed=args.seed,
            options=options,
            ctx=ctx,
        )
    draw_curve(trained, "dome", args.work)
    vectors = trained.adapter.tensors[f"word.{TOKEN}.text_encoder"]
    save_half({TOKEN: vectors}, args.out / "dome" / "learned_embeds.safetensors")


if __name__ == "__main__":
    main()
