"""What is wrong with a workflow: one `Problem` each, all of them at once in a `WorkflowError`."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from difflib import get_close_matches
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, field_validator

Code = Literal[
    "bad_document",
    "unknown_node_type",
    "unknown_input",
    "missing_input",
    "bad_value",
    "out_of_range",
    "not_a_choice",
    "unknown_link",
    "unknown_output",
    "type_mismatch",
    "cycle",
    "no_output",
    "conflict",
    "too_large",
    "path_outside_root",
    "unknown_version",
]
"""The stable codes. Programs branch on these, people read the message."""


_TWO_STOPS = re.compile(r"""(?<=[\w)"'`\]}])([.?!])\.(?=\s|$)""")
"""A full stop after the end of a sentence; not one of three, nor of a path such as `..`."""


class Problem(BaseModel):
    """One thing that is wrong, where it is, and what to do about it.

    Args:
        severity: an "error" keeps a workflow from running, a "warning" does not.
        code: a stable name for the kind of problem.
        node: id of the node it concerns; None when it concerns the whole document.
        input: name of the node's input it concerns, if it is about one.
        message: one or two sentences for a person, complete without the other fields.
        given: what the document says (JSON), where that helps.
        expected: what would be right (JSON), where that can be said.
        suggestion: the nearest name that exists, when a name is not known.
    """

    model_config = ConfigDict(frozen=True)

    severity: Literal["error", "warning"] = "error"
    code: Code
    node: str | None = None
    input: str | None = None
    message: str
    given: Any = None
    expected: Any = None
    suggestion: str | None = None

    @field_validator("message")
    @classmethod
    def _one_full_stop(cls, message: str) -> str:
        """Messages quote others, which end in a full stop or do not."""
        return _TWO_STOPS.sub(r"\1", message)

    @property
    def where(self) -> str:
        """`node.input`, `node`, or "" for the whole document."""
        return ".".join(part for part in (self.node, self.input) if part is not None)

    def __str__(self) -> str:
        place = f"{self.where}: " if self.where else ""
        hint = f" Did you mean {self.suggestion!r}?" if self.suggestion else ""
        return f"{self.severity}: {place}{self.message}{hint} [{self.code}]"


class WorkflowError(Exception):
    """A workflow cannot be read, or cannot run. `.problems` holds every reason, never none."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems: list[Problem] = list(problems)
        if not self.problems:
            raise ValueError("a WorkflowError needs at least one problem")
        super().__init__("\n".join(map(str, self.problems)))


def near(name: str, options: Iterable[str]) -> str | None:
    """The option most like `name`, ignoring case, or None when none is close enough to be worth suggesting."""
    by_lower = {option.lower(): option for option in options}
    matches = get_close_matches(name.lower()[:200], by_lower, n=1, cutoff=0.6)
    return by_lower[matches[0]] if matches else None


def shown(value: Any, limit: int = 60) -> str:
    """A value for a message: as JSON where it can be, on one line, cut in the middle beyond `limit` characters."""
    if isinstance(value, str):
        value = value[: 2 * limit] + value[2 * limit :][-limit:]  # a message never needs megabytes quoted first
    try:
        text = json.dumps(value, ensure_ascii=False)
    except (TypeError, ValueError, RecursionError):
        text = f"<{type(value).__name__}>"
    if len(text) <= limit:
        return text
    half = (limit - 3) // 2
    return f"{text[:half]}...{text[-half:]}"
