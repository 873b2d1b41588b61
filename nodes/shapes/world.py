"""The procedural world of the bundled model: scenes of coloured shapes, drawn and captioned.

A scene has one or two upright shapes on a plain background. Everything is exact and seeded, so a
generated image can be judged (see :mod:`nodes.shapes.judge`) instead of merely looked at.
No torch here: drawing uses numpy and OpenCV only.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray

SIZE = 128
"""Width and height of every scene in pixels."""

COLORS: dict[str, tuple[int, int, int]] = {
    "red": (222, 28, 36),
    "orange": (255, 136, 0),
    "yellow": (255, 232, 32),
    "green": (24, 160, 48),
    "cyan": (32, 206, 224),
    "blue": (28, 66, 224),
    "purple": (138, 36, 168),
    "pink": (255, 138, 196),
}
"""Object colours, sRGB. Far apart in CIELAB, since near ones are what a small model confuses."""

BACKGROUNDS: dict[str, tuple[int, int, int]] = {
    "white": (250, 250, 250),
    "black": (12, 12, 12),
    "gray": (128, 128, 128),
    "beige": (226, 204, 160),
    "brown": (92, 58, 30),
    "navy": (16, 22, 74),
    "mint": (184, 236, 204),
}
"""Background colours, sRGB. None is an object colour."""

Shape = Literal["circle", "square", "triangle", "star"]
SHAPES: tuple[Shape, ...] = ("circle", "square", "triangle", "star")
Unseen = Literal["heart", "house", "dome"]
UNSEEN: tuple[Unseen, ...] = ("heart", "house", "dome")
"""Shapes that no scene has and the bundled model never saw: for teaching it new words."""
AnyShape = Literal["circle", "square", "triangle", "star", "heart", "house", "dome"]
PLACES = {"left": (-1, 0), "right": (1, 0), "top": (0, -1), "bottom": (0, 1)}
RELATIONS = {"left of": (-1, 0), "right of": (1, 0), "above": (0, -1), "below": (0, 1)}

SMALL = (36, 44)
LARGE = (60, 72)
PAIRED = (38, 50)
"""Side lengths in pixels (inclusive bounds) of a small, a large, and one of two objects."""

_SUPERSAMPLE = 4


def palette() -> NDArray[np.float32]:
    """All colours, of objects and then of backgrounds: (n, 3) sRGB in [0, 1]."""
    return np.array([*COLORS.values(), *BACKGROUNDS.values()], np.float32) / np.float32(255)


@dataclass(frozen=True)
class Thing:
    """One shape: its colour name and its bounding box, centre and side in pixels."""

    shape: AnyShape
    color: str
    x: float
    y: float
    size: float

    @property
    def box(self) -> tuple[float, float, float, float]:
        """Left, top, right, bottom in pixels."""
        half = self.size / 2
        return (self.x - half, self.y - half, self.x + half, self.y + half)


@dataclass(frozen=True)
class Scene:
    """One or two things on a background, with the words that were chosen to describe it."""

    things: tuple[Thing, ...]
    background: str
    caption: str = ""


def outline(shape: AnyShape) -> NDArray[np.float64]:
    """The shape's polygon in the box [-0.5, 0.5]^2, touching all four sides: (points, 2)."""
    if shape == "square":
        return np.array([[-0.5, -0.5], [0.5, -0.5], [0.5, 0.5], [-0.5, 0.5]])
    if shape == "triangle":
        return np.array([[0.0, -0.5], [0.5, 0.5], [-0.5, 0.5]])
    if shape == "circle":
        angle = np.linspace(0, 2 * math.pi, 96, endpoint=False)
        return 0.5 * np.stack([np.cos(angle), np.sin(angle)], axis=1)
    if shape == "house":
        return np.array([[0.0, -0.5], [0.5, 0.0], [0.5, 0.5], [-0.5, 0.5], [-0.5, 0.0]])
    if shape == "dome":
        angle = np.linspace(math.pi, 2 * math.pi, 48)
        return np.stack([0.5 * np.cos(angle), np.sin(angle) + 0.5], axis=1)
    if shape == "heart":
        angle = np.linspace(0, 2 * math.pi, 96, endpoint=False)
        down = -13 * np.cos(angle) + 5 * np.cos(2 * angle) + 2 * np.cos(3 * angle) + np.cos(4 * angle)
        points = np.stack([16 * np.sin(angle) ** 3, down], axis=1)
    else:
        angle = -math.pi / 2 + np.arange(10) * math.pi / 5
        radius = np.where(np.arange(10) % 2 == 0, 1.0, 0.44)
        points = radius[:, None] * np.stack([np.cos(angle), np.sin(angle)], axis=1)
    low, high = points.min(axis=0), points.max(axis=0)
    return (points - low) / (high - low) - 0.5


def coverage(thing: Thing, size: int = SIZE) -> NDArray[np.float32]:
    """How much of each pixel the thing covers, anti-aliased: (size, size) in [0, 1]."""
    left, top, patch = _patch(thing, size)
    canvas = np.zeros((size, size), np.float32)
    canvas[top : top + patch.shape[0], left : left + patch.shape[1]] = patch
    return canvas


def _patch(thing: Thing, size: int) -> tuple[int, int, NDArray[np.float32]]:
    """The thing's coverage inside its bounding box only (drawing speed): left, top, and (h, w) in [0, 1]."""
    box = thing.box
    left, top = (max(0, math.floor(v)) for v in box[:2])
    right, bottom = (min(size, math.ceil(v)) for v in box[2:])
    width, height = max(0, right - left), max(0, bottom - top)
    if not width or not height:
        return 0, 0, np.zeros((0, 0), np.float32)
    scale = _SUPERSAMPLE
    points = (outline(thing.shape) * thing.size + (thing.x - left, thing.y - top)) * scale - 0.5
    canvas = np.zeros((height * scale, width * scale), np.uint8)
    cv2.fillPoly(canvas, [np.round(points * 16).astype(np.int32)], 255, shift=4)
    small = np.asarray(cv2.resize(canvas, (width, height), interpolation=cv2.INTER_AREA), np.float32)
    return left, top, small / np.float32(255)


def render(scene: Scene, size: int = SIZE) -> NDArray[np.uint8]:
    """Draw a scene: (size, size, 3) sRGB, 0..255."""
    image = np.empty((size, size, 3), np.uint8)
    image[:] = BACKGROUNDS[scene.background]
    for thing in scene.things:
        left, top, alpha = _patch(thing, size)
        area = image[top : top + alpha.shape[0], left : left + alpha.shape[1]]
        color = np.array(COLORS[thing.color], np.float32)
        area[:] = np.round(area + alpha[..., None] * (color - area)).astype(np.uint8)
    return image


def sample_scene(rng: np.random.Generator, two: float = 0.45) -> Scene:
    """Draw a random scene with a caption; ``two`` is the chance of two objects."""
    background = str(rng.choice(list(BACKGROUNDS)))
    scene = _sample_pair(rng) if rng.random() < two else _sample_single(rng)
    caption = scene.caption
    if caption and rng.random() < 0.7:
        caption = f"{caption} on a {background} background"
    if rng.random() < 0.04:  # a concept alone, as semantic guidance and prompt weighting use it
        thing = scene.things[int(rng.integers(len(scene.things)))]
        caption = str(
            rng.choice([thing.color, f"a {thing.shape}", f"{background} background", f"{thing.color} {thing.shape}"])
        )
    return Scene(scene.things, background, caption)


def _sample_single(rng: np.random.Generator) -> Scene:
    shape: Shape = SHAPES[int(rng.integers(len(SHAPES)))]
    color = str(rng.choice(list(COLORS)))
    word = str(rng.choice(["small", "large", ""], p=[0.25, 0.25, 0.5]))
    low, high = SMALL if word == "small" else LARGE if word == "large" else (SMALL[0], LARGE[1])
    size = rng.uniform(low, high)
    place = str(rng.choice(list(PLACES))) if rng.random() < 0.4 else ""
    x, y = rng.uniform(-12, 12, 2) + SIZE / 2
    if place:
        dx, dy = PLACES[place]
        reach = SIZE / 2 - size / 2 - rng.uniform(4, 12)
        x, y = x + dx * (dx * (SIZE / 2 - x) + reach), y + dy * (dy * (SIZE / 2 - y) + reach)
    words = [word, "" if rng.random() < 0.12 else color, "shape" if rng.random() < 0.05 else shape]
    caption = with_article(" ".join(w for w in words if w))
    if place:
        caption += f" on the {place}" if place in ("left", "right") else f" at the {place}"
    return Scene((Thing(shape, color, x, y, size),), "", caption)


def _sample_pair(rng: np.random.Generator) -> Scene:
    things = []
    horizontal = rng.random() < 0.5
    colors = rng.choice(list(COLORS), 2, replace=rng.random() < 0.1)
    for k in range(2):
        size = rng.uniform(*PAIRED)
        along = (0.26 if k == 0 else 0.74) * SIZE + rng.uniform(-4, 4)
        across = SIZE / 2 + rng.uniform(-10, 10)
        x, y = (along, across) if horizontal else (across, along)
        things.append(Thing(SHAPES[int(rng.integers(len(SHAPES)))], str(colors[k]), x, y, size))
    first, second = (0, 1) if rng.random() < 0.5 else (1, 0)
    a, b = (with_article(f"{things[k].color} {things[k].shape}") for k in (first, second))
    if rng.random() < 0.5:
        relation = "and"
    elif horizontal:
        relation = "left of" if first == 0 else "right of"
    else:
        relation = "above" if first == 0 else "below"
    return Scene(tuple(things), "", f"{a} {relation} {b}")


def caption(things: Sequence[Thing], background: str, relation: str = "and") -> str:
    """A plain caption of one or two things, such as "a red circle left of a blue square on a white background"."""
    words = f" {relation or 'and'} ".join(with_article(f"{t.color} {t.shape}") for t in things)
    return f"{words} on a {background} background"


def with_article(noun: str) -> str:
    """The noun with "a" or "an"."""
    return f"{'an' if noun[0] in 'aeiou' else 'a'} {noun}"


def vocabulary() -> list[str]:
    """Every word that a caption can hold, sorted."""
    words = {"a", "an", "and", "on", "the", "at", "background", "small", "large", "shape", "of"}
    words.update(COLORS, BACKGROUNDS, SHAPES, PLACES)
    for relation in RELATIONS:
        words.update(relation.split())
    return sorted(words)
