"""Pictures of a data set as pixels: read, compared with their digest, cut and scaled to the size they train at."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from weft.nodes.images.headers import ImageFileError
from weft.nodes.images.reading import decode_picture, read_bytes
from weft.nodes.images.scaling import resize_planes, target
from weft.nodes.training.draws import Draws
from weft.nodes.training.errors import TrainingError
from weft.nodes.values.training import Item, Picture

Pixels = NDArray[np.float32]
Size = tuple[int, int]
"""Width and height in pixels."""


def digest_of(data: bytes) -> str:
    """What identifies a picture: a hash of its file's bytes."""
    return hashlib.blake2b(data, digest_size=20).hexdigest()


def colour_of(picture: Picture) -> Pixels:
    """A picture as (H, W, 3) float32 in [0, 1]; what is transparent lies on white.

    Raises:
        TrainingError: it cannot be read, or is not the one that the data set was made with.
    """
    try:
        data = read_bytes(Path(picture.path)) if picture.path else picture.data
        if digest_of(data) != picture.digest:
            raise TrainingError(f"{picture.name} changed since the data set was made: run its node again")
        colour, alpha = decode_picture(data, picture.name)
    except ImageFileError as error:
        raise TrainingError(f"{error}") from error
    return colour if alpha is None else 1 + (colour - 1) * alpha[..., None]


@dataclass(frozen=True)
class View:
    """One way in which a picture is cut and scaled.

    size: (width, height) that it comes out at. crop: number of its place, 0 is the middle. flip: mirrored.
    """

    size: Size
    crop: int = 0
    flip: bool = False

    def key(self, picture: Picture) -> str:
        """Identifies what a picture becomes by it."""
        return digest_of(f"{picture.digest} {self.size} {self.crop} {self.flip}".encode())

    def of(self, pixels: Pixels) -> Pixels:
        """Pixels (H, W, c) cut and scaled: (height, width, c) float32 in [0, 1].

        The place depends on its number alone, so that a picture, its hint and its mask are cut alike.
        """
        (width, height), (rows, columns) = self.size, pixels.shape[:2]
        _, _, (left, top, right, bottom) = target((columns, rows), width, height, "fill")
        if self.crop:
            across, down = Draws(0).generator("crop", self.crop).random(2)
            wide, high = right - left, bottom - top
            left, top = (columns - wide) * across, (rows - high) * down
            right, bottom = left + wide, top + high
        if (columns, rows) != self.size:
            planes = np.ascontiguousarray(pixels.transpose(2, 0, 1), np.float32)
            pixels = resize_planes(planes, width, height, "lanczos", (left, top, right, bottom)).transpose(1, 2, 0)
        if self.flip:
            pixels = pixels[:, ::-1]
        return np.ascontiguousarray(np.clip(pixels, 0, 1), np.float32)


def views_of(item: Item, native: int) -> Iterator[View]:
    """All views of an item that samples may take."""
    size = size_of(item, native)
    for crop in range(item.crops):
        yield View(size, crop)
        if item.flip:
            yield View(size, crop, True)


def size_of(item: Item, native: int) -> Size:
    """The size that an item trains at, (width, height): its own, or the model's native square."""
    return item.size if item.size != (0, 0) else (native, native)
