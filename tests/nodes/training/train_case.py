"""What tests of training share: a tiny model, pictures in memory, and a Context whose folders outlive a run."""

from __future__ import annotations

import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from tests.tiny import tiny_sd1
from weft.engine import CancelToken, Context
from weft.engine.cache.workspaces import Workspaces
from weft.nodes.basic.load_model import load_model
from weft.nodes.training.pictures import digest_of
from weft.nodes.values import Model
from weft.nodes.values.training import Dataset, Item, Picture

CAPTIONS = ("a red circle", "a blue square", "a green star", "a cat on the left", "a dog and a cat", "a photo of a dog")


def tiny_model(folder: Path) -> Model:
    """A Stable Diffusion 1.x of a few hundred kilobytes, for pictures of 64 x 64."""
    return load_model(str(tiny_sd1(folder, sample_size=8)))


def picture(number: int, side: int = 64) -> Picture:
    """Coarse coloured noise, as a PNG in memory."""
    from PIL import Image

    coarse = np.random.default_rng(number).integers(0, 256, (4, 4, 3), dtype=np.uint8)
    file = io.BytesIO()
    Image.fromarray(coarse).resize((side, side), Image.Resampling.NEAREST).save(file, "PNG")
    return Picture(f"{number}.png", digest_of(file.getvalue()), data=file.getvalue())


def half_mask(side: int = 64) -> Picture:
    """White on the left and black on the right."""
    from PIL import Image

    pixels = np.zeros((side, side, 3), dtype=np.uint8)
    pixels[:, : side // 2] = 255
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return Picture("mask.png", digest_of(file.getvalue()), data=file.getvalue())


def dataset(count: int = 5, *, masks: bool = False, held_out: int = 0) -> Dataset:
    """Pictures with captions; the last ones are held out."""
    mask = half_mask() if masks else None
    items = [Item(picture(k), CAPTIONS[k % len(CAPTIONS)], mask=mask) for k in range(count)]
    items += [Item(picture(100 + k), CAPTIONS[k], role="validation") for k in range(held_out)]
    return Dataset(tuple(items))


class Told:
    """What a run reported: kinds with their data, in order. at_step: called after each whole step with its number."""

    def __init__(self, at_step: Any = None) -> None:
        self.reports: list[tuple[str, Mapping[str, Any]]] = []
        self.at_step = at_step

    def report(self, node: str, kind: str, data: Mapping[str, Any], body: bytes = b"") -> None:
        """As `Listener` says."""
        self.reports.append((kind, data))
        if kind == "progress" and not data["message"].startswith("encode") and self.at_step is not None:
            self.at_step(data["step"])

    def of(self, kind: str) -> list[Any]:
        """The data of one kind; of reports of a node's own, what they hold."""
        return [data.get("data", data) for own, data in self.reports if own == kind]


def context(cache: Path | None, told: Told | None = None, cancel: CancelToken | None = None) -> Context:
    """One with folders that outlive it in `cache`; without, everything is gone with it."""
    places = Workspaces(cache, 1 << 30) if cache is not None else None
    return Context("train", workspaces=places, listener=told, cancel=cancel)
