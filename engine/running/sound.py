"""What of a document can be run although other parts of it are wrong."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from weft.engine.errors import NodeError
from weft.graphs.document import Workflow, dependencies
from weft.graphs.order import needed_by
from weft.graphs.problems import Problem


@dataclass(frozen=True, slots=True)
class Sound:
    """A part of a document.

    Attributes:
        document: the nodes that its targets need, and no others.
        targets: those that need no node with an error.
        broken: the other targets, each with the error of a node that it needs.
    """

    document: Workflow
    targets: list[str]
    broken: dict[str, NodeError]


def sound_part(document: Workflow, problems: Iterable[Problem], targets: Sequence[str]) -> Sound | None:
    """The part of a document that has no errors; None where an error belongs to no node of it, or nothing is sound.

    Args:
        targets: what is to be made, as `node` or `node.output`.
    """
    errors: dict[str, Problem] = {}
    for problem in problems:
        if problem.severity == "error":
            if problem.node is None or problem.node not in document.nodes:
                return None
            errors.setdefault(problem.node, problem)
    links = dependencies(document.nodes)
    sound: dict[str, set[str]] = {}
    broken: dict[str, NodeError] = {}
    for target in targets:
        node = target.partition(".")[0]
        if node not in document.nodes:
            return None
        needs = needed_by(links, node)
        wrong = next((id for id in document.nodes if id in needs and id in errors), None)
        if wrong is None:
            sound[target] = needs
        else:
            broken[target] = NodeError(wrong, document.nodes[wrong].type, "WorkflowError", errors[wrong].message)
    if not sound:
        return None
    wanted = set().union(*sound.values())
    part = document.with_nodes({id: spec for id, spec in document.nodes.items() if id in wanted})
    return Sound(part, list(sound), broken)
