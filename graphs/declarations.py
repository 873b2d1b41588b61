"""What the node types that a graph called are, besides their names: kept beside the document, never in it."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType


class Declarations:
    """Objects by the name of a node type, which only whoever runs the graph can read.

    They are no part of the document: any two are equal, copies are the same, and pickling leaves them behind.
    """

    __slots__ = ("by_name",)

    def __init__(self, by_name: Mapping[str, object] = MappingProxyType({})) -> None:
        self.by_name = by_name

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Declarations)

    def __hash__(self) -> int:
        return hash(Declarations)

    def __copy__(self) -> Declarations:
        return self

    def __deepcopy__(self, memo: object) -> Declarations:
        return self

    def __reduce__(self) -> tuple[type[Declarations], tuple[()]]:
        return Declarations, ()
