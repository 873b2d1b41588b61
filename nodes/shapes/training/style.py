"""A LoRA (arXiv 2106.09685) that teaches the bundled model a style which it never saw: a frame along the border.

    python -m weft.nodes.shapes.training.style

"a red circle on a mint background, framed" has the frame of nodes.shapes.frame. Rank 4 on the layers of
`training.lora`, and as there two pictures in five are of the known world, unframed: the word is what brings the frame.
"""

from __future__ import annotations

import numpy as np

from weft.nodes.shapes.frame import framed, framed_caption, moved_inside
from weft.nodes.shapes.training.finetune import Example, arguments
from weft.nodes.shapes.training.lora import teach
from weft.nodes.shapes.world import Scene, render, sample_scene

KNOWN = 0.4


def example(rng: np.random.Generator) -> Example:
    """A scene of the world with a frame and the word, or as it was."""
    scene = sample_scene(rng)
    if rng.random() < KNOWN:
        return Example(render(scene), scene.caption)
    within = Scene(tuple(moved_inside(thing) for thing in scene.things), scene.background)
    return Example(framed(render(within)), framed_caption(scene.caption))


def main() -> None:
    teach("frame", 4, example, arguments(__doc__ or "", steps=400, batch=24, pool=1536))


if __name__ == "__main__":
    main()
