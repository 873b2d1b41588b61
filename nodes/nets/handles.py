"""What flows between nodes in place of a network: light, can be written to disk, costs nothing until used."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from weft.engine import NodeView, Problem, value
from weft.nodes.values.reprs import short_repr
from weft.nodes.values.training import Adapter

if TYPE_CHECKING:
    from collections.abc import Iterator

FAMILIES = {"sd1": "Stable Diffusion 1.x", "sd2": "Stable Diffusion 2.x", "sdxl": "SDXL"}


@value("controlnet", version=2)
@dataclass(frozen=True, eq=False)
class ControlNet:
    """A ControlNet by name. family: of the models that it is for. Its number format and device are those of the run.

    source: as given. location: where it was found. fingerprint: identifies the weights by content.
    adapter: what a training gave, which then is the network; source is what messages call it.
    """

    source: str
    location: str
    fingerprint: str
    family: str
    adapter: Adapter | None = None

    __repr__ = short_repr


@value("t2i_adapter", version=2)
@dataclass(frozen=True, eq=False)
class T2IAdapter:
    """A T2I-Adapter by name; see `ControlNet`. channels: of the hint that it reads, 3 or 1."""

    source: str
    location: str
    fingerprint: str
    family: str
    channels: int = 3
    adapter: Adapter | None = None

    __repr__ = short_repr


@value("ip_adapter", version=2)
@dataclass(frozen=True, eq=False)
class ImageAdapter:
    """An IP-Adapter and its image encoder by name; see `ControlNet`.

    family: as told by the width of its states, or "" where that is unusual. sites, width: cross-attention layers that
    it has keys for, and the width of its image tokens.
    """

    source: str
    location: str
    fingerprint: str
    family: str
    encoder: str
    encoder_fingerprint: str
    sites: int
    width: int
    adapter: Adapter | None = None

    __repr__ = short_repr


@value("upscaler")
@dataclass(frozen=True, eq=False)
class Upscaler:
    """An upscaler by name; see `ControlNet`. scale: how many times wider and higher an image becomes.

    multiple: of which the net's image sides have to be, 1, 2 or 4; images are padded to that, and cut again.
    dtype_choice, device_choice: as asked for, "auto" included.
    """

    source: str
    location: str
    fingerprint: str
    scale: int
    multiple: int = 1
    dtype_choice: str = "auto"
    device_choice: str = "auto"

    __repr__ = short_repr


def window_problems(view: NodeView) -> Iterator[Problem]:
    """A window, given literally, that ends before it starts."""
    start, end = view.literals.get("start"), view.literals.get("end")
    if isinstance(start, (int, float)) and isinstance(end, (int, float)) and start > end:
        message = f"the window starts at {start} and ends before that, at {end}: make end at least as large as start"
        yield Problem(code="bad_value", node=view.id, input="end", message=message, given=end, expected=f">= {start}")


def other_family(kind: str, source: str, wanted: str, given: str) -> str:
    """The message for a network of one family at a model of another."""
    return (
        f"the {kind} {source!r} is for {FAMILIES.get(wanted, wanted)} and the model is {FAMILIES.get(given, given)}: "
        f"use a {kind} for {FAMILIES.get(given, given)}"
    )
