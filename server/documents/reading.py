"""Documents that come from elsewhere: their form, and keys that mean something to JavaScript."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from weft.graphs.document import Workflow
from weft.graphs.jsontext import read_json
from weft.graphs.limits import LIMITS, Limits
from weft.graphs.problems import Problem, WorkflowError

PROTOTYPE_KEYS = frozenset({"__proto__", "constructor", "prototype"})
"""Keys by which an object of JavaScript is given other behaviour where a program merges data into it."""


def read_document(source: bytes | str | Mapping[str, Any], limits: Limits = LIMITS) -> Workflow:
    """A workflow from the text of a document or from its JSON data.

    Raises:
        WorkflowError: every problem of form, as `Workflow.parse`, and `bad_document` for each prototype key.
    """
    data = read_json(source, limits) if isinstance(source, bytes | str) else source
    if problems := list(prototype_keys(data, limits)):
        raise WorkflowError(problems)
    return Workflow.parse(data, limits)


def prototype_keys(data: Any, limits: Limits = LIMITS) -> Iterator[Problem]:
    """A problem for each key, wherever it stands, that no document of the server may have."""
    pending: list[tuple[tuple[str | int, ...], Any]] = [((), data)]
    count = 0
    while pending and count < limits.max_problems:
        place, item = pending.pop()
        if len(place) > limits.max_depth:
            continue  # reading it will refuse it
        if isinstance(item, Mapping):
            for key in PROTOTYPE_KEYS & item.keys():
                count += 1
                where = ".".join(map(str, place)) or "the document"
                yield Problem(
                    code="bad_document",
                    node=str(place[1]) if len(place) > 1 and place[0] == "nodes" else None,
                    message=f"The key {key!r} in {where[:200]} is not allowed: browsers give it another meaning.",
                    given=key,
                )
            pending.extend(((*place, key), part) for key, part in item.items() if isinstance(part, (Mapping, list)))
        elif isinstance(item, list):
            pending.extend(((*place, number), part) for number, part in enumerate(item))
