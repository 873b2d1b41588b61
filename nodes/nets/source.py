"""What the loaders of networks share: how a source is looked at, fingerprinted and checked. Light: no torch."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from weft.engine import Context, NodeView, Problem
from weft.nodes.models.description import Description
from weft.nodes.models.sources import Kind, PathRule, find, problems
from weft.nodes.nets.files import fingerprint
from weft.nodes.weights.adapters import one_problem


@dataclass(frozen=True)
class NetSource:
    """A kind of network, and what reads its headers and configuration: ModelError for any other file or folder."""

    kind: Kind
    describe: Callable[[Path], Description]

    def look(self, source: str, allowed: PathRule | None = None) -> Description:
        """What is known of the network that a source names. Raises ModelError, or InputPathError; see `find`."""
        return self.describe(find(source, self.kind, allowed))

    def fingerprint(self, source: str, ctx: Context) -> str:
        """For a node whose input `source` names it; empty where an adapter comes by wire."""
        if not source:
            return ""
        return fingerprint(self.look(source, ctx.resolve_input_path))

    def check(self, view: NodeView, input: str = "source") -> Iterator[Problem]:
        """For a node with such an input, in whose place there may be an adapter by wire."""
        if input == "source" and "adapter" in view.type.inputs:
            yield from one_problem(view, input)
            if not view.literals.get(input):
                return
        yield from problems(view, input, lambda text: self.look(text, view.resolve), self.kind.expected)
