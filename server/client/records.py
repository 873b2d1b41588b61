"""What a server tells: jobs, what they made, plans and files, as objects."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Literal, Self

from pydantic import ValidationError

from weft.graphs.document import Workflow
from weft.graphs.problems import Problem

State = Literal["queued", "running", "done", "failed", "cancelled"]
ENDED = frozenset({"done", "failed", "cancelled"})


class _Told:
    """Made of the server's JSON; what a newer server says beside it is left out."""

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """One, of the server's JSON."""
        known = {item.name for item in fields(cls)}  # type: ignore[arg-type]
        return cls(**{name: value for name, value in data.items() if name in known})


@dataclass(frozen=True)
class Output(_Told):
    """Something that a job made. What does not apply is None.

    Attributes:
        node: the node that made it.
        kind: "image", "file" or "value".
        name: the file's name, or the name of the node's output.
        file: content id of a file, `sha256:` and 64 hex digits; see `Client.download`.
        bytes: of the file; width, height: of an image, in pixels.
        value: a number, a text or a truth value.
    """

    node: str
    kind: str
    name: str = ""
    file: str | None = None
    mime: str | None = None
    bytes: int | None = None
    width: int | None = None
    height: int | None = None
    value: Any = None


@dataclass(frozen=True)
class JobProgress(_Told):
    """How many nodes ran, came from the cache, and are there."""

    done: int = 0
    cached: int = 0
    of: int = 0


@dataclass(frozen=True)
class Job(_Told):
    """A job as it was when the server was asked: one run of one document. Times are seconds since 1970.

    Attributes:
        position: its place in the queue, from 0; None when it does not wait.
        slot: a newer job of the same slot cancels those before it.
        attempts: how often a worker died on it.
        seconds: how long the run took; ran, cached: how many nodes ran, and did not have to.
        error: of a failed job `{"node", "type", "exception", "message", ...}`.
    """

    id: str
    state: State
    title: str = ""
    tags: list[str] = field(default_factory=list)
    priority: int = 0
    position: int | None = None
    slot: str | None = None
    created: float = 0.0
    started: float | None = None
    finished: float | None = None
    attempts: int = 0
    progress: JobProgress = field(default_factory=JobProgress)
    seconds: float | None = None
    ran: int | None = None
    cached: int = 0
    outputs: list[Output] = field(default_factory=list)
    error: dict[str, Any] | None = None

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """One, of the server's JSON."""
        inner = {
            "progress": JobProgress.from_json(data.get("progress") or {}),
            "outputs": [Output.from_json(output) for output in data.get("outputs") or ()],
        }
        return super().from_json({**data, **inner})

    @property
    def ended(self) -> bool:
        """Whether it is done, failed or cancelled."""
        return self.state in ENDED


@dataclass(frozen=True)
class Plan:
    """What a run would do now.

    Attributes:
        problems: what is wrong with the workflow; nothing would run then.
        nodes: by id `{"will": "run" | "cached" | "resume" | "skip", "tier", "steps", "of", "seconds"}`.
        seconds: how long it will take, by what was measured; None when that is not known.
    """

    problems: list[Problem]
    nodes: dict[str, dict[str, Any]]
    seconds: float | None


@dataclass(frozen=True)
class UploadedFile(_Told):
    """A file that the server has now. A document names it by its id: `"path": file.file`."""

    file: str
    mime: str
    bytes: int
    width: int | None = None
    height: int | None = None


@dataclass(frozen=True)
class SavedWorkflow(_Told):
    """A workflow that the server keeps under a name.

    Attributes:
        etag: tells this one from those that are saved later; whoever replaces it says it.
        modified: seconds since 1970; None where it was not told.
        problem: why it cannot be read, where somebody edited it by hand.
        version: of an earlier one, its number.
        workflow: the document, where it was asked for.
    """

    name: str
    title: str = ""
    etag: str = ""
    modified: float | None = None
    problem: str | None = None
    version: str | None = None
    workflow: Workflow | None = None


def problems_of(told: Any) -> list[Problem]:
    """The problems of an answer. One with a code of a newer server keeps it."""
    found = []
    for item in told if isinstance(told, list) else ():
        try:
            found.append(Problem.model_validate(item))
        except ValidationError:
            if isinstance(item, dict) and isinstance(item.get("message"), str):
                found.append(Problem.model_construct(**{"code": "bad_document", **item}))
    return found
