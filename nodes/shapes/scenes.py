"""Scenes for networks that are told where things are: anywhere on the canvas, and captions that leave things unsaid."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from weft.nodes.shapes.world import BACKGROUNDS, COLORS, SHAPES, SIZE, AnyShape, Scene, Thing, with_article

SMALLEST, LARGEST, MARGIN, GAP = 32.0, 76.0, 4.0, 6.0
"""Side lengths, the least distance from the border, and between two things: pixels."""


def free_scene(rng: np.random.Generator, two: float = 0.35, shape: AnyShape | None = None, least: float = 1.0) -> Scene:
    """One or two things wherever they fit, with a full caption.

    two: the chance of a second thing. shape: of the first thing, or any. least: a factor on the smallest side.
    """
    things = [_thing(rng, SMALLEST * least, LARGEST, shape or SHAPES[int(rng.integers(len(SHAPES)))])]
    if rng.random() < two:
        for _ in range(200):
            pair = [_thing(rng, SMALLEST * least, 56.0, shape or _any(rng)), _thing(rng, SMALLEST, 56.0, _any(rng))]
            if _apart(*pair):
                things = pair
                break
    background = str(rng.choice(list(BACKGROUNDS)))
    return Scene(tuple(things), background, full_caption(rng, things, background))


def _any(rng: np.random.Generator) -> AnyShape:
    return SHAPES[int(rng.integers(len(SHAPES)))]


def _thing(rng: np.random.Generator, low: float, high: float, shape: AnyShape) -> Thing:
    size = float(rng.uniform(low, high))
    reach = SIZE / 2 - MARGIN - size / 2
    x, y = SIZE / 2 + rng.uniform(-reach, reach, 2)
    return Thing(shape, str(rng.choice(list(COLORS))), float(x), float(y), size)


def _apart(a: Thing, b: Thing) -> bool:
    return max(abs(a.x - b.x), abs(a.y - b.y)) >= (a.size + b.size) / 2 + GAP


def full_caption(rng: np.random.Generator, things: list[Thing], background: str) -> str:
    """Colours, shapes, and in most cases the background; of two things a true relation or "and"."""
    nouns = [with_article(f"{t.color} {t.shape}") for t in things]
    text = nouns[0]
    if len(things) == 2:
        a, b = things
        across, down = b.x - a.x, b.y - a.y
        if rng.random() < 0.5:
            relation = "and"
        elif abs(across) > abs(down):
            relation = "left of" if across > 0 else "right of"
        else:
            relation = "above" if down > 0 else "below"
        text = f"{nouns[0]} {relation} {nouns[1]}"
    return f"{text} on a {background} background" if rng.random() < 0.75 else text


def vague_caption(rng: np.random.Generator, scene: Scene) -> str:
    """The scene's caption, or for the hint to fill in: without shapes, or nothing at all."""
    chance = rng.random()
    if chance < 0.7:
        return scene.caption
    if chance < 0.85:
        text = scene.caption
        for thing in scene.things:
            text = text.replace(f" {thing.shape}", " shape", 1)
        return text
    return ""


def repainted(rng: np.random.Generator, scene: Scene) -> Scene:
    """The scene in any other colours, so that they say where things are and not what colour these have."""
    things = tuple(replace(thing, color=str(rng.choice(list(COLORS)))) for thing in scene.things)
    return Scene(things, str(rng.choice(list(BACKGROUNDS))))
