"""What a node's own check sees of the graph around it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from engine.declare import NodeType


class NodeView(Protocol):
    """What a node's own `check` sees of the graph around it."""

    @property
    def id(self) -> str:
        """The node's id."""

    @property
    def type(self) -> NodeType:
        """Its declaration."""

    @property
    def literals(self) -> Mapping[str, Any]:
        """Inputs given as literals, and the defaults of those that are not given; linked ones are absent."""

    def sources(self, input: str) -> list[tuple[str, NodeType]]:
        """The nodes linked to an input: id and declaration, in the order of the list."""

    def users(self) -> list[NodeView]:
        """The nodes that link to this one. Their own inputs may still be wrong: trust no type."""

    def other(self, id: str) -> NodeView | None:
        """Another node of the graph, such as one of the `sources`; None where its type is unknown."""

    def path(self, text: str) -> Path | None:
        """The file or folder that a literal names, where it is there and may be read."""
