"""What can be said about techniques before anything runs: checks that every node with the denoise loop shares."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from engine import NodeView, Problem
from engine.declare import NodeType

BASE = "guidance:base"
WRAPS = "guidance:wraps"
"""Tag of nodes that hand on another's guidance, changed: whether that is a base shows only in the run."""
VIEWS = "one:views"
START = "one:start"
_ONE = {
    VIEWS: "divide the canvas into views",
    START: "give the latents to start from",
}
"""Tags of what one run can have once, whichever input it comes by."""


def check_techniques(view: NodeView) -> Iterable[Problem]:
    """One base term among `guidance`, and at most one technique of each kind that excludes others of its kind."""
    sources = view.sources("guidance")
    bases = [(id, kind) for id, kind in sources if BASE in kind.tags]
    if sources and not bases and not any(WRAPS in kind.tags for _, kind in sources):
        given = ", ".join(f"{id} ({kind.name})" for id, kind in sources)
        yield Problem(
            code="missing_input",
            node=view.id,
            input="guidance",
            message=f"guidance needs one base term, such as cfg; {given} only add to one",
        )
    if len(bases) > 1:
        yield Problem(
            code="conflict",
            node=view.id,
            input="guidance",
            message=f"{_named(bases)} are both a base term, which makes the first prediction; "
            f"{view.type.name} takes exactly one",
        )
    yield from _exclusive(view)


def _exclusive(view: NodeView) -> Iterator[Problem]:
    wired = [(input, id, kind) for input in ("guidance", "controls") for id, kind in view.sources(input)]
    for tag, what in _ONE.items():
        found = [(input, id, kind) for input, id, kind in wired if tag in kind.tags]
        if len(found) > 1:
            named = _named([(id, kind) for _, id, kind in found])
            message = f"{named} both {what}; there can be one"
            yield Problem(code="conflict", node=view.id, input=found[-1][0], message=message)


def _named(nodes: list[tuple[str, NodeType]]) -> str:
    return " and ".join(f"{id} ({kind.name})" for id, kind in nodes)
