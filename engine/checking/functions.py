"""The functions that a node type brings along beside the node itself, and who calls them.

They are a pack's own code, and run while a workflow is looked at. Where nodes run in workers, a pack's are called there
too (`engine.isolation.functions`): one that crashes or hangs is then that node's problem and no more.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Protocol

from weft.engine.declaring.context import Context
from weft.engine.declaring.node_type import NodeType, NodeView
from weft.graphs.document import NodeSpec
from weft.graphs.problems import Problem


class LookedAt(Protocol):
    """A graph whose nodes are checked.

    Attributes:
        specs: the nodes by id. types: those of the types that are known. roots: folders that may be read.
    """

    specs: Mapping[str, NodeSpec]
    types: dict[str, NodeType]
    roots: list[Path] | None


class Functions(Protocol):
    """Calls them. What a function raises, or that it ended its process or took too long, is raised."""

    def migrate(self, node_type: NodeType, version: int, inputs: Mapping[str, Any]) -> Mapping[str, Any]:
        """The inputs of one version as those of the next (`migrations`)."""

    def check(self, node_type: NodeType, view: NodeView, graph: LookedAt) -> Iterable[Problem]:
        """The problems of a node in its graph (`check`)."""

    def fingerprint(self, node_type: NodeType, literals: Mapping[str, Any], context: Context | None = None) -> str:
        """What of the world outside the document a node depends on (`fingerprint`); `context` where it asks for one."""

    def needs(self, node_type: NodeType, inputs: Mapping[str, Any]) -> Iterable[Any]:
        """Which lazy inputs a node will ask for (`needs`)."""


class CalledHere:
    """Calls them in this process."""

    def migrate(self, node_type: NodeType, version: int, inputs: Mapping[str, Any]) -> Mapping[str, Any]:
        """See `Functions`."""
        return node_type.migrations[version](dict(inputs))

    def check(self, node_type: NodeType, view: NodeView, graph: LookedAt) -> Iterable[Problem]:
        """See `Functions`."""
        return list(node_type.check(view) or ()) if node_type.check is not None else ()

    def fingerprint(self, node_type: NodeType, literals: Mapping[str, Any], context: Context | None = None) -> str:
        """See `Functions`."""
        assert node_type.fingerprint is not None
        return str(node_type.fingerprint(**literals, **({} if context is None else {"ctx": context})))

    def needs(self, node_type: NodeType, inputs: Mapping[str, Any]) -> Iterable[Any]:
        """See `Functions`."""
        return node_type.needs(inputs) if node_type.needs is not None else ()


HERE: Functions = CalledHere()
