"""Pictures of the bundled model's world as a data set, so that everything can be trained without a file."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
import PIL.Image
from numpy.typing import NDArray

from weft.nodes.hints.edges import canny
from weft.nodes.hints.flat import backdrop_depth, flatten
from weft.nodes.images.encoding import encode
from weft.nodes.shapes.concepts import concept_scene
from weft.nodes.shapes.edits import edit
from weft.nodes.shapes.frame import framed, framed_caption, moved_inside
from weft.nodes.shapes.scenes import free_scene, repainted, vague_caption
from weft.nodes.shapes.world import AnyShape, Scene, coverage, palette, render, sample_scene
from weft.nodes.training.pictures import digest_of
from weft.nodes.values.training import Item, Picture, Role

Pairs = Literal["none", "edges", "regions", "depth", "edit"]
Style = Literal["plain", "framed"]
Pixels = NDArray[np.uint8]

FRAME_WORDS = "add a frame"
"""The instruction of an edit that frames a picture."""
TRIES = 20_000
"""Scenes that are drawn for one that has the colours asked for. The rarest, one colour of eight on one background of
seven, takes 56 in the mean."""
EDGE_LOW, EDGE_HIGH = 100.0, 200.0
"""Thresholds of `canny` for the hints, those of the bundled ControlNet."""


@dataclass(frozen=True)
class World:
    """Which pictures are drawn. See the node `shapes_dataset` for what each field does."""

    show: str = "scenes"
    word: str = ""
    style: Style = "plain"
    pairs: Pairs = "none"
    colours: tuple[str, ...] = ()
    backgrounds: tuple[str, ...] = ()
    beside: float = 0.3
    known: float = 0.0
    known_role: Role = "instance"
    vague: bool = False
    caption: str = ""
    masks: bool = False


@dataclass(frozen=True)
class Example:
    """A picture, its caption, and the one that belongs to it, (128, 128, 3) uint8. mask: (128, 128)."""

    picture: Pixels
    caption: str
    condition: Pixels | None = None
    mask: Pixels | None = None


def drawn_items(world: World, count: int, seed: int) -> list[Item]:
    """Items of a world. Each is drawn by its own number, so the first ones of more are the same."""
    return [_item(world, number, seed) for number in range(count)]


def is_known(world: World, number: int) -> bool:
    """Whether a picture is one of the world as it was: the share asked for, evenly among the numbers."""
    return int((number + 1) * world.known + 1e-9) > int(number * world.known + 1e-9)


def _item(world: World, number: int, seed: int) -> Item:
    rng = np.random.default_rng([seed, number])
    known = is_known(world, number)
    example = _drawn(world, rng, known)
    caption = world.caption if world.caption and not known else example.caption
    name = f"shapes-{seed}-{number}"
    return Item(
        picture=_picture(example.picture, f"{name}.png"),
        caption=caption,
        condition=None if example.condition is None else _picture(example.condition, f"{name}.{world.pairs}.png"),
        mask=None if example.mask is None else _picture(example.mask, f"{name}.mask.png"),
        role=world.known_role if known else "instance",
    )


def _picture(pixels: Pixels, name: str) -> Picture:
    data = encode(PIL.Image.fromarray(pixels), "png")
    return Picture(name, digest_of(data), data=data)


def _drawn(world: World, rng: np.random.Generator, known: bool) -> Example:
    if world.pairs == "edit":
        return _edited(world, rng, known)
    scene = _fitting(world, rng, lambda: (_scene(world, rng, known),))[0]
    caption = vague_caption(rng, scene) if world.vague else scene.caption
    framing = world.style == "framed" and not known
    if framing:
        scene = _inside(scene)
    picture = framed(render(scene)) if framing else render(scene)
    return Example(
        picture,
        framed_caption(caption) if framing and caption else caption,
        _hint(world.pairs, picture, scene, rng),
        _mask(scene) if world.masks else None,
    )


def _scene(world: World, rng: np.random.Generator, known: bool) -> Scene:
    if known or world.show == "scenes":
        # What is told where things are has to see them anywhere on the canvas.
        return sample_scene(rng) if world.pairs == "none" else free_scene(rng)
    while True:
        scene = concept_scene(rng, _shape(world.show), world.word or world.show, world.beside)
        # Another one of it would be called by its own name beside the one that has a new word.
        if world.show not in [thing.shape for thing in scene.things[1:]]:
            return scene


def _shape(name: str) -> AnyShape:
    shape: AnyShape = next(one for one in get_args(AnyShape) if one == name)
    return shape


def _edited(world: World, rng: np.random.Generator, known: bool) -> Example:
    """After an edit, with the picture before it as the condition and the instruction as the caption."""
    if world.style == "framed" and not known:
        scene = _inside(_fitting(world, rng, lambda: (sample_scene(rng),))[0])
        before = render(scene)
        return Example(framed(before), FRAME_WORDS, before, _mask(scene) if world.masks else None)
    words = ""

    def draw() -> tuple[Scene, ...]:
        nonlocal words
        words, *scenes = edit(rng)
        return tuple(scenes)

    earlier, later = _fitting(world, rng, draw)
    return Example(render(later), words, render(earlier), _mask(later) if world.masks else None)


def _fitting(world: World, rng: np.random.Generator, draw: Callable[[], tuple[Scene, ...]]) -> tuple[Scene, ...]:
    """The first scenes drawn that have the colours asked for."""
    for _ in range(TRIES):
        scenes = draw()
        if all(_fits(world, scene) for scene in scenes):
            return scenes
    raise ValueError(
        f"no scene with only the colours {', '.join(world.colours) or 'of the world'} on "
        f"{', '.join(world.backgrounds) or 'any background'} was found: allow more of them"
    )


def _fits(world: World, scene: Scene) -> bool:
    colours = all(not world.colours or thing.color in world.colours for thing in scene.things)
    return colours and (not world.backgrounds or scene.background in world.backgrounds)


def _inside(scene: Scene) -> Scene:
    """The scene with room for the frame."""
    return Scene(tuple(moved_inside(thing) for thing in scene.things), scene.background, scene.caption)


def _hint(pairs: Pairs, picture: Pixels, scene: Scene, rng: np.random.Generator) -> Pixels | None:
    if pairs == "none":
        return None
    colour = picture.astype(np.float32) / np.float32(255)
    if pairs == "edges":
        hint = canny(colour, EDGE_LOW, EDGE_HIGH, 0.0)
    elif pairs == "depth":
        hint = backdrop_depth(colour)
    else:
        painted = render(repainted(rng, scene)).astype(np.float32) / np.float32(255)
        hint = flatten(painted, palette(), 0.002)
    grey = np.round(hint * 255).astype(np.uint8)
    return grey if grey.ndim == 3 else np.repeat(grey[..., None], 3, axis=2)


def _mask(scene: Scene) -> Pixels:
    """White where things are."""
    covered = np.maximum.reduce([coverage(thing) for thing in scene.things])
    return np.round(covered * 255).astype(np.uint8)
