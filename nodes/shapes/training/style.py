"""A LoRA (arXiv 2106.09685) that teaches the bundled model a style which it never saw: a frame along the border.

    python -m weft.nodes.shapes.training.style

"a red circle on a mint background, framed" has the frame of nodes.shapes.frame. Rank 4 on the layers of
`training.lora`, and three pictures in ten are of the known world, unframed: the word is what brings the frame.
"""

from __future__ import annotations

from weft.nodes import shapes_dataset
from weft.nodes.shapes.training.by_nodes import arguments
from weft.nodes.shapes.training.lora import teach


def main() -> None:
    args = arguments(__doc__ or "", steps=600, batch=16, pool=768)
    data = shapes_dataset(style="framed", count=args.pool, known=0.3, seed=args.seed)
    # Drawn small, the first matrices learn too, and the adapter changes less of what another one needs.
    teach("frame", data, 4, 4e-3, args, init="kaiming")


if __name__ == "__main__":
    main()
