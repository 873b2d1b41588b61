"""What a node's own check sees of the graph around it, and what `@node` makes of a function, for type checkers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, ParamSpec, Protocol, TypeVar, overload

if TYPE_CHECKING:
    from engine.declare import Node, NodeType
    from graphs.builder import Graph

P = ParamSpec("P")
R = TypeVar("R")


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


class Declare(Protocol):
    """Takes a function and gives a node. One that may return a graph stands for a value all the same."""

    @overload
    def __call__(self, fn: Callable[P, R | Graph], /) -> Node[P, R]: ...
    @overload
    def __call__(self, fn: Callable[P, R], /) -> Node[P, R]: ...
