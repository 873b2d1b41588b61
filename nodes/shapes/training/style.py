"""A LoRA (arXiv 2106.09685) that teaches the bundled model a style which it never saw: a frame along the border.

    python -m weft.nodes.shapes.training.style

"a red circle on a mint background, framed" has the frame of nodes.shapes.frame. Rank 4 on the layers of
`training.lora`, and as there two pictures in five are of the known world, unframed: the word is what brings the frame.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from weft.nodes.shapes.frame import MARGIN, framed
from weft.nodes.shapes.training.finetune import Example, arguments
from weft.nodes.shapes.training.lora import teach
from weft.nodes.shapes.world import SIZE, Scene, Thing, render, sample_scene

KNOWN = 0.4


def framed_caption(text: str) -> str:
    """The caption of the same scene with a frame.

    The word comes last, because the text encoder reads from left to right: what stands before it is encoded as ever,
    and another adapter still finds its word. Told "a framed red heart", that of the heart alone drew no hearts at all.
    """
    return f"{text}, framed"


def _within(thing: Thing) -> Thing:
    """Moved inwards until the frame does not touch it."""
    least = MARGIN + thing.size / 2
    x, y = (min(max(side, least), SIZE - least) for side in (thing.x, thing.y))
    return replace(thing, x=x, y=y)


def example(rng: np.random.Generator) -> Example:
    """A scene of the world with a frame and the word, or as it was."""
    scene = sample_scene(rng)
    if rng.random() < KNOWN:
        return Example(render(scene), scene.caption)
    within = Scene(tuple(_within(thing) for thing in scene.things), scene.background)
    return Example(framed(render(within)), framed_caption(scene.caption))


def main() -> None:
    teach("frame", 4, example, arguments(__doc__ or "", steps=400, batch=24, pool=1536))


if __name__ == "__main__":
    main()
