"""Custom Diffusion (arXiv 2212.04488) for the bundled model: keys and values of its cross-attention, and a word.

    python -m weft.nodes.shapes.training.custom

The word <house> stands for a shape that the model never saw, a square with a roof. Beside each picture of it is one of
the known world, which takes the part of the paper's regularisation images. Trained by the node
`train_custom_diffusion`.
"""

from __future__ import annotations

from weft.nodes import shapes_dataset, train_custom_diffusion, train_options
from weft.nodes.shapes.training.by_nodes import arguments, draw_curve, save_half, training

TOKEN, START = "<house>", "square"


def main() -> None:
    args = arguments(__doc__ or "", steps=450, batch=10, pool=852)
    data = shapes_dataset(
        show="house",
        word=TOKEN,
        count=args.pool,
        beside=0.15,
        known=0.4,
        known_role="class",
        masks=True,
        seed=args.seed,
    )
    options = train_options(
        optimizer="muon",
        beta2=0.99,
        schedule="cosine",
        warmup=args.steps // 12,
        ema=0.99,
        weight_decay=0.0,
        unmasked_weight=0.33,
    )
    with training(args) as (model, ctx):
        trained = train_custom_diffusion(
            model,
            data,
            [TOKEN],
            [START],
            steps=args.steps,
            learning_rate=3e-3,
            words_rate=1e-2,
            batch=args.batch,
            templates="none",
            prior_weight=0.5,
            seed=args.seed,
            options=options,
            ctx=ctx,
        )
    draw_curve(trained, "house", args.work)
    tensors = trained.adapter.tensors
    names = {
        name: name.removeprefix("unet.")
        .replace(".to_", ".processor.to_")
        .replace(".weight", "_custom_diffusion.weight")
        for name in tensors
        if name.startswith("unet.")
    }
    out = args.out / "house"
    save_half({names[name]: tensors[name] for name in names}, out / "pytorch_custom_diffusion_weights.safetensors")
    save_half({TOKEN: tensors[f"word.{TOKEN}.text_encoder"]}, out / "house.safetensors")


if __name__ == "__main__":
    main()
