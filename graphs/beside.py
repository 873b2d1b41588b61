"""What is kept beside a document and never in it: what its graph called, and how large it may be."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from weft.graphs.limits import LIMITS, Limits


class Beside:
    """No part of the document: any two are equal, copies are the same, and pickling leaves them behind.

    Args:
        declarations: objects by the name of a node type, which only whoever runs the graph can read.
        limits: what the document was read with.
    """

    __slots__ = ("declarations", "limits")

    def __init__(self, declarations: Mapping[str, object] = MappingProxyType({}), limits: Limits = LIMITS) -> None:
        self.declarations = declarations
        self.limits = limits

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Beside)

    def __hash__(self) -> int:
        return hash(Beside)

    def __copy__(self) -> Beside:
        return self

    def __deepcopy__(self, memo: object) -> Beside:
        return self

    def __reduce__(self) -> tuple[type[Beside], tuple[()]]:
        return Beside, ()
