"""What an image encoder makes of pictures that prompt, encoded once each and kept for later runs."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from weft.engine import Context
from weft.nodes.models.description import Description
from weft.nodes.nets.files import fingerprint
from weft.nodes.nets.image_prompt import describe_image_encoder, encode_pictures
from weft.nodes.nets.live import load_net
from weft.nodes.sampling.content import Contents, machine
from weft.nodes.training.conditions import with_conditions
from weft.nodes.training.encoding import each
from weft.nodes.training.errors import TrainingError
from weft.nodes.training.pictures import colour_of
from weft.nodes.values.training import Dataset, Item, Picture

VERSION = 1
"""Raise it when equal pictures give other embeddings."""
Prompting = Literal["picture", "condition"]


@dataclass(frozen=True, eq=False)
class ImageStates:
    """Embeddings of pictures.

    identity: the encoder, and which picture of an item it sees. entries: by a picture's digest, (width,) float32.
    """

    identity: tuple[str, Prompting]
    entries: dict[str, Tensor]
    width: int

    def of(self, items: Iterable[Item]) -> Tensor:
        """The embeddings of the pictures that prompt, (n, width)."""
        return torch.stack([self.entries[prompting_picture(item, self.identity[1]).digest] for item in items])


def prompted(
    encoder: Description, device: torch.device, dataset: Dataset, prompting: Prompting, ctx: Context
) -> tuple[ImageStates, Dataset]:
    """The embeddings of a data set's pictures, and the items that have one. A picture that cannot be read is passed
    over, with a warning.

    encoder: what `describe_image_encoder` told. prompting: which picture of an item is the prompt.

    Raises:
        TrainingError: items have no condition, where that is the prompt.
    """
    if prompting == "condition":
        dataset = with_conditions(dataset, "an IP-Adapter prompted with conditions", ctx, hints=False)
    told = fingerprint(encoder)
    parts = ("image states", VERSION, str(torch.__version__), told, machine(device))
    pictures = {picture.digest: picture for picture in (prompting_picture(item, prompting) for item in dataset.items)}
    bad: dict[str, str] = {}
    loaded = None

    def make(digest: str) -> dict[str, Tensor] | None:
        nonlocal loaded
        try:
            pixels = torch.from_numpy(colour_of(pictures[digest]))[None]
        except TrainingError as error:
            bad[digest] = str(error)
            ctx.log.warning("%s: it is passed over", error)
            return None
        if loaded is None:
            place = str(encoder.location)
            loaded = load_net(place, place, told, describe_image_encoder, device, torch.float32)
        return {"embedding": encode_pictures(loaded.item, pixels, "plain")[0][0].float().cpu()}

    with ctx.shared_workspace(Contents().key(parts).hex()) as folder:
        entries = {name: found["embedding"] for name, found in each(folder, pictures, make, ctx, "encode prompts")}
    width = int(encoder.weights["image_encoder"].config.get("projection_dim", 512))
    items = tuple(item for item in dataset.items if prompting_picture(item, prompting).digest in entries)
    left = dataclasses.replace(dataset, items=items, skipped=(*dataset.skipped, *bad.values()))
    return ImageStates((told, prompting), entries, width), left


def prompting_picture(item: Item, prompting: Prompting) -> Picture:
    """The picture of an item that is the prompt."""
    if prompting == "picture":
        return item.picture
    assert item.condition is not None
    return item.condition
