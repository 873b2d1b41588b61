"""The bundled model taught to edit as InstructPix2Pix does (arXiv 2211.09800): four more channels hold a picture.

    python -m weft.nodes.shapes.training.instruct

Instructions change a colour ("make it blue", "make the circle blue"), a shape ("make it a star") or the background
("make the background navy"); everything else stays. Text, picture or both are left out at times, for guidance.
The four new channels of the first convolution start from zero, as in the paper; all of the UNet learns.
Trained by the node `train_instruct_pix2pix`.
"""

from __future__ import annotations

from diffusers import UNet2DConditionModel

from weft.nodes import shapes_dataset, train_instruct_pix2pix, train_options
from weft.nodes.shapes.training.by_nodes import arguments, draw_curve, training
from weft.nodes.shapes.training.finetune import save_module

DROP = 0.05


def main() -> None:
    args = arguments(__doc__ or "", steps=1400, batch=32, pool=4096)
    data = shapes_dataset(pairs="edit", count=args.pool, seed=args.seed)
    options = train_options(optimizer="muon", beta2=0.99, schedule="cosine", warmup=args.steps // 12, ema=0.99)
    with training(args) as (model, ctx):
        trained = train_instruct_pix2pix(
            model,
            data,
            steps=args.steps,
            learning_rate=1e-3,
            batch=args.batch,
            dropout=DROP,
            seed=args.seed,
            options=options,
            ctx=ctx,
        )
        with model.parts() as parts:
            config = {**parts.unet.config, "in_channels": trained.adapter.settings["unet_channels"]}
    draw_curve(trained, "edit", args.work)
    unet = UNet2DConditionModel.from_config(config)
    unet.load_state_dict({name.removeprefix("unet."): t for name, t in trained.adapter.tensors.items()})
    save_module(unet, args.out / "edit" / "unet")


if __name__ == "__main__":
    main()
