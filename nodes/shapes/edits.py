"""Instructions for scenes, and what they make of them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from weft.nodes.shapes.scenes import free_scene
from weft.nodes.shapes.world import BACKGROUNDS, COLORS, SHAPES, Scene, sample_scene, with_article


def edit(rng: np.random.Generator) -> tuple[str, Scene, Scene]:
    """An instruction, the scene before it and the scene after it."""
    scene = sample_scene(rng) if rng.random() < 0.5 else free_scene(rng)
    words, after = instruction(rng, scene)
    if len(after.things) < len(scene.things):
        scene = Scene((next(t for t in scene.things if t.box == after.things[0].box),), scene.background)
    return words, scene, after


def instruction(rng: np.random.Generator, scene: Scene) -> tuple[str, Scene]:
    """A sentence, and the scene that it makes of this one."""
    things, chance = list(scene.things), rng.random()
    if chance < 0.2:
        background = _other(rng, list(BACKGROUNDS), scene.background)
        return f"make the background {background}", Scene(scene.things, background)
    k = int(rng.integers(len(things)))
    thing, names = things[k], [t.shape for t in things]
    it = "it" if len(things) == 1 and rng.random() < 0.6 else f"the {thing.shape}"
    if names.count(thing.shape) > 1:
        it = f"the {thing.color} {thing.shape}"
        if (thing.color, thing.shape) == (things[1 - k].color, things[1 - k].shape):
            things = [thing]  # nobody could say which of two equal ones is meant
            k, it = 0, "it"
    scene = Scene(tuple(things), scene.background)
    if chance < 0.8:
        color = _other(rng, list(COLORS), thing.color)
        things[k], words = replace(thing, color=color), f"make {it} {color}"
    else:
        shape = SHAPES[(SHAPES.index(thing.shape) + 1 + int(rng.integers(3))) % 4]
        things[k], words = replace(thing, shape=shape), f"make {it} {with_article(shape)}"
    return words, Scene(tuple(things), scene.background)


def _other(rng: np.random.Generator, names: list[str], but: str) -> str:
    return str(rng.choice([name for name in names if name != but]))
