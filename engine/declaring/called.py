"""What a node's own `check` says of a call outside of a graph, where all inputs are there and nothing is linked."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from contextvars import ContextVar
from pathlib import Path
from typing import Any

from weft.engine.declaring.constant import Constant
from weft.engine.declaring.input_paths import resolve_input_path
from weft.engine.declaring.node_type import NodeType, NodeView
from weft.engine.declaring.ports import Lazy
from weft.engine.errors import InputPathError, named
from weft.graphs.inputs import literal
from weft.graphs.problems import Problem

_LOG = logging.getLogger("weft.node")
_of_node: ContextVar[list[Problem] | None] = ContextVar("of_node", default=None)


def raised_by_node(problem: Problem) -> Problem:
    """The problem again. For checks that try what the node itself begins with, such as finding its files.

    Called outside of a graph, the node raises its own exception, of its own class, and says the most: where these are
    all problems that there are, they are left to it.
    """
    if (problems := _of_node.get()) is not None:
        problems.append(problem)
    return problem


class _Call:
    """The call as a `NodeView`: what a document could say are its literals, other values come from who knows where.

    Such a value is a source of a type that `stands` for it, so that a check sees that something is there.
    """

    def __init__(self, node_type: NodeType, inputs: Mapping[str, Any], roots: Any) -> None:
        self.id = node_type.name
        self.type = node_type
        self._roots = roots
        self._literals: dict[str, Any] = {}
        self._values: dict[str, list[Any]] = {}
        for name, port in node_type.inputs.items():
            item = inputs.get(name, port.default)
            parts = item if isinstance(item, (list, tuple)) and port.many else [item]
            values = [part for part in parts if not _is_literal(part)]
            if values:
                self._values[name] = values
            else:
                self._literals[name] = literal(item)

    @property
    def literals(self) -> Mapping[str, Any]:
        return self._literals

    def sources(self, input: str) -> list[tuple[str, NodeType]]:
        values = self._values.get(input, ())
        names = [input] if len(values) == 1 else [f"{input}[{number}]" for number in range(len(values))]
        return [(name, Constant(type(value), "value", 0)) for name, value in zip(names, values, strict=True)]

    def users(self) -> list[NodeView]:
        return []

    def other(self, id: str) -> NodeView | None:
        return None

    def path(self, text: str) -> Path | None:
        try:
            path = self.resolve(text)
        except InputPathError:
            return None
        return path if path.exists() else None

    def resolve(self, text: str) -> Path:
        return resolve_input_path(text, self._roots)


def _is_literal(item: Any) -> bool:
    if isinstance(item, Lazy):
        return False
    try:
        literal(item)
    except (TypeError, ValueError, RecursionError):
        return False
    return True


def own_check(node_type: NodeType, inputs: Mapping[str, Any]) -> list[Problem]:
    """The errors that the node's own check finds in a call whose inputs are right by themselves. Warnings are logged.

    Args:
        inputs: by name; those that are left out have their default.
    """
    if node_type.check is None:
        return []
    context = inputs.get(node_type.context_parameter or "")
    left: list[Problem] = []
    token = _of_node.set(left)
    try:
        problems = list(node_type.check(_Call(node_type, inputs, getattr(context, "roots", None))) or ())
    except Exception as error:
        _LOG.warning("%s: the check of the node itself failed: %s", node_type.name, named(error))
        return []
    finally:
        _of_node.reset(token)
    for problem in problems:
        if problem.severity != "error":
            _LOG.warning("%s: %s", node_type.name, problem.message)
    errors = [problem for problem in problems if problem.severity == "error"]
    return [] if all(any(problem is other for other in left) for problem in errors) else errors
