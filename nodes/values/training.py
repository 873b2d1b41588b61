"""Values of fine-tuning: data sets, what is cached of them, and what a training gives."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from weft.engine import value
from weft.nodes.values.reprs import short_repr

if TYPE_CHECKING:
    from torch import Tensor

Role = Literal["instance", "class", "validation"]
AdapterKind = Literal[
    "lora", "embedding", "custom_diffusion", "weights", "controlnet", "t2i_adapter", "ip_adapter", "unet_delta"
]


@value("training.picture")
@dataclass(frozen=True, eq=False)
class Picture:
    """A picture of a data set: an image file that is read when it is needed, or the bytes of one.

    name: for messages. digest: of its content, which is compared when the file is read.
    path: absolute, or "" where `data` holds the file's bytes.
    """

    name: str
    digest: str
    path: str = ""
    data: bytes = b""


@value("training.item")
@dataclass(frozen=True, eq=False)
class Item:
    """A picture to learn from, with what belongs to it.

    caption: what it shows. condition: a hint, or the picture before an edit, of a pair. mask: what counts in the loss,
    white all of it and black none. role: ``instance`` is learned, ``class`` keeps what the model knew (prior
    preservation), ``validation`` is only measured. concept: which of several. repeats: times an epoch.
    size: (width, height) in pixels that it is trained at, (0, 0) where that is not decided yet. crops: places at which
    it is cut where its sides are of another ratio: 1 is the middle, and each sample takes one of several. flip: half of
    the samples are mirrored, left to right.
    """

    picture: Picture
    caption: str = ""
    condition: Picture | None = None
    mask: Picture | None = None
    role: Role = "instance"
    concept: int = 0
    repeats: int = 1
    size: tuple[int, int] = (0, 0)
    crops: int = 1
    flip: bool = False

    def content(self) -> tuple[Any, ...]:
        """What it is, as plain data without paths: equal for equal items wherever their files lie."""
        parts = [None if part is None else part.digest for part in (self.picture, self.condition, self.mask)]
        return (*parts, self.caption, self.role, self.concept, self.repeats, list(self.size), self.crops, self.flip)


@value("dataset")
@dataclass(frozen=True, eq=False)
class Dataset:
    """Pictures to train on. Light: files are read when they are encoded.

    skipped: what was passed over because it could not be read, and why.
    """

    items: tuple[Item, ...]
    skipped: tuple[str, ...] = ()

    __repr__ = short_repr

    def of(self, *roles: Role) -> list[Item]:
        """Its items of some roles, in their order."""
        return [item for item in self.items if item.role in roles]


@value("latent_cache")
@dataclass(frozen=True, eq=False)
class LatentCache:
    """What a VAE makes of pictures: the distribution, from which each training step draws.

    vae: identifies the VAE. entries: by `weft.nodes.training.pictures.View.key`, mean and standard deviation,
    (C, h, w) float32 each, as the VAE gives them (not scaled). skipped: pictures that could not be read, and why.
    """

    vae: str
    entries: dict[str, tuple[Tensor, Tensor]] = field(default_factory=dict)
    skipped: tuple[str, ...] = ()

    __repr__ = short_repr


@value("text_cache")
@dataclass(frozen=True, eq=False)
class TextCache:
    """What a model's text encoders make of captions.

    encoder: identifies the encoders. entries: by caption, states (L, D) float32, and the pooled ones (P,) or None.
    """

    encoder: str
    entries: dict[str, tuple[Tensor, Tensor | None]] = field(default_factory=dict)

    __repr__ = short_repr


@value("adapter")
@dataclass(frozen=True, eq=False)
class Adapter:
    """What a training learned: it changes a model that it is applied to.

    kind: how it is applied. tensors: by name, which begins with the component that it changes
    (``unet.down_blocks...lora_A.weight``, ``text_encoder...``; of learned words ``word.<token>.text_encoder``, and
    where there is a second text encoder ``word.<token>.text_encoder_2``, (vectors, width) each), float32 on the CPU.
    settings: plain data: configurations of networks, ranks, tokens, what it was trained with.
    base, family: of the model that it was trained on: its fingerprint, and ``sd1``, ``sd2`` or ``sdxl``.
    digest: by content.
    """

    kind: AdapterKind
    tensors: dict[str, Tensor]
    settings: dict[str, Any] = field(default_factory=dict)
    base: str = ""
    family: str = ""
    digest: str = ""

    __repr__ = short_repr

    @classmethod
    def of(
        cls, kind: AdapterKind, tensors: dict[str, Tensor], settings: dict[str, Any], base: str, family: str
    ) -> Adapter:
        """An adapter of these tensors, with its digest."""
        return cls(kind, tensors, settings, base, family, tensors_digest(kind, tensors, settings))


@value("curve")
@dataclass(frozen=True, eq=False)
class Curve:
    """Numbers of a training by step: ``loss``, ``learning_rate``, ``gradient_norm``, ``validation_loss``, ``reward``...

    columns: by name, the steps (n,) int64, counted from 1, and the values (n,) float64.
    """

    columns: dict[str, tuple[Tensor, Tensor]] = field(default_factory=dict)

    __repr__ = short_repr

    def column(self, name: str) -> tuple[list[int], list[float]]:
        """Steps and values of one column; empty where it is not there."""
        if name not in self.columns:
            return [], []
        steps, values = self.columns[name]
        return steps.tolist(), values.tolist()


@value("checkpoint")
@dataclass(frozen=True, eq=False)
class Checkpoint:
    """The state of a training after a step, from which another can go on.

    recipe: what was trained. step: how many were done. folder: where it lies. digest: of its tensors.
    """

    recipe: str
    step: int
    folder: str
    digest: str

    __repr__ = short_repr


def tensors_digest(*parts: Any) -> str:
    """A short hash of plain data and tensors by name."""
    import json

    total = hashlib.blake2b(digest_size=20)
    for part in parts:
        if isinstance(part, dict) and any(hasattr(item, "detach") for item in part.values()):
            for name in sorted(part):
                tensor = part[name].detach().cpu().contiguous()
                total.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}:".encode())
                if tensor.numel():
                    import torch

                    total.update(tensor.reshape(-1).view(torch.uint8).numpy().tobytes())
        else:
            total.update(json.dumps(part, sort_keys=True).encode())
    return total.hexdigest()
