"""Scenes with a shape that captions call by a word of their own, such as one that the bundled model never saw."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from weft.nodes.shapes.scenes import full_caption
from weft.nodes.shapes.world import BACKGROUNDS, COLORS, LARGE, SIZE, AnyShape, Scene, Thing, sample_scene

LOW, HIGH = 50.0, 76.0
"""Side lengths of one unseen shape in pixels: what is smaller loses its corners in the autoencoder."""
SAID = 0.6
"""The share of large ones that captions call large: a word that never stood beside "large" is not known there."""


def concept_scene(rng: np.random.Generator, shape: AnyShape, word: str, pairs: float = 0.3) -> Scene:
    """A scene with the shape, whose caption calls it `word`; in a share of `pairs` a known shape stands beside it."""
    if rng.random() < pairs:
        scene = sample_scene(rng, two=1.0)
        first = scene.things[0]
        known = f"{first.color} {first.shape}"
        if known in scene.caption and scene.caption.count(known) == 1:
            things = (replace(first, shape=shape, size=max(first.size, 44.0)), scene.things[1])
            return Scene(things, scene.background, scene.caption.replace(known, f"{first.color} {word}"))
    x, y = SIZE / 2 + rng.uniform(-12, 12, 2)
    thing = Thing(shape, str(rng.choice(list(COLORS))), float(x), float(y), float(rng.uniform(LOW, HIGH)))
    background = str(rng.choice(list(BACKGROUNDS)))
    text = full_caption(rng, [thing], background).replace(shape, word)
    if thing.size >= LARGE[0] and rng.random() < SAID:
        text = f"a large {text.partition(' ')[2]}"
    return Scene((thing,), background, text)
