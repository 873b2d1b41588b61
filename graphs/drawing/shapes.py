"""What a picture needs to know of a node's type. The catalogue knows it; a picture also does without."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class PortShape:
    """An input or an output.

    Args:
        name: as the document calls it.
        type: the type's name for people, such as "Latents"; it picks the colour.
        many: it takes a list.
        required: an input without a default.
    """

    name: str
    type: str
    many: bool = False
    required: bool = False


@dataclass(frozen=True, slots=True)
class NodeShape:
    """A node's type: its ports in order."""

    inputs: tuple[PortShape, ...] = ()
    outputs: tuple[PortShape, ...] = ()


Describe = Callable[[str], NodeShape | None]
"""From a node's type to its shape; None for a type that is not known."""
