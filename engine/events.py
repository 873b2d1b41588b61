"""What a run says while it goes: one gapless stream per job, for progress bars, websockets and logs alike.

An event is small and about one node: its size does not grow with the graph.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, SerializerFunctionWrapHandler, model_serializer

from weft.engine.errors import NodeError

Tier = Literal["memory", "disk", "unneeded"]
"""Where a node's result was: in a tier of the cache; equal to one of this run ("memory"); or nobody needed it, since
everything that uses it was there ("unneeded")."""


class Event(BaseModel):
    """What every event has: `seq` counts without a gap within the job, `time` is seconds since 1970."""

    model_config = ConfigDict(frozen=True)

    event: str
    seq: int
    time: float
    job: str
    node: str | None = None


class ErrorDetail(BaseModel):
    """A node's failure, as data."""

    model_config = ConfigDict(frozen=True)

    node: str
    type: str
    exception: str
    message: str
    traceback: str

    @classmethod
    def of(cls, error: NodeError) -> ErrorDetail:
        return cls(
            node=error.node,
            type=error.type,
            exception=error.exception,
            message=error.message,
            traceback=error.traceback,
        )


class JobQueued(Event):
    event: Literal["job_queued"] = "job_queued"


class JobStarted(Event):
    event: Literal["job_started"] = "job_started"
    nodes: int = Field(description="Nodes that the targets reach, cached ones included.")


class NodeStarted(Event):
    event: Literal["node_started"] = "node_started"
    why: list[dict[str, str]] | None = Field(
        None,
        description="What is other than when the node ran last (see docs/cache.md); absent when that is not known.",
    )

    @model_serializer(mode="wrap")
    def _without_nothing(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        data: dict[str, Any] = handler(self)
        if data.get("why") is None:
            data.pop("why", None)
        return data


class NodeProgress(Event):
    event: Literal["node_progress"] = "node_progress"
    step: int
    total: int
    message: str = ""


class NodeResumed(Event):
    """The node goes on from where an earlier run and this one part: `steps` of `total` need not be made again."""

    event: Literal["node_resumed"] = "node_resumed"
    steps: int
    total: int


class NodePreview(Event):
    event: Literal["node_preview"] = "node_preview"
    mime: str
    width: int
    height: int
    data: bytes = Field(exclude=True, repr=False, description="The encoded picture; not part of the JSON form.")


class NodeReport(Event):
    """What a node says in words of its own (`Context.report`)."""

    event: Literal["node_report"] = "node_report"
    kind: str
    data: Any = None


class NodeCached(Event):
    event: Literal["node_cached"] = "node_cached"
    tier: Tier


class NodeFinished(Event):
    event: Literal["node_finished"] = "node_finished"
    seconds: float
    imports: float = Field(
        0.0,
        description="Of these, how many it imported modules, which the first node that needs a library does for all; "
        "absent when there are none.",
    )

    @model_serializer(mode="wrap")
    def _without_nothing(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        data: dict[str, Any] = handler(self)
        if not data.get("imports"):
            data.pop("imports", None)
        return data


class NodeFailed(Event):
    event: Literal["node_failed"] = "node_failed"
    error: ErrorDetail


class NodeRetried(Event):
    """A call of the node failed, and it is called again: time `attempt` of `of`."""

    event: Literal["node_retried"] = "node_retried"
    attempt: int
    of: int
    error: ErrorDetail


class NodeSkipped(Event):
    """The node is not called, since something that it needs is not there.

    What it needs was skipped by a node (`Skip`), or is missing after a failure in a run that keeps going.
    """

    event: Literal["node_skipped"] = "node_skipped"
    reason: str
    failed: bool = Field(description="Whether it is missing after a failure.")
    item: list[int] | None = Field(None, description="Which item, from 0, outermost axis first; null for all of it.")


class OutputMade(Event):
    event: Literal["output"] = "output"
    kind: str = Field(description='"file", or the name of the value\'s type.')
    ref: str = Field(description="The file's path; for another value its output, as node.output.")


class JobFinished(Event):
    event: Literal["job_finished"] = "job_finished"
    seconds: float
    ran: int
    cached: int
    reused: int = Field(0, description="Steps, within nodes that ran, that were taken from earlier runs.")


class JobFailed(Event):
    event: Literal["job_failed"] = "job_failed"
    error: ErrorDetail


class JobCancelled(Event):
    event: Literal["job_cancelled"] = "job_cancelled"


AnyEvent = Annotated[
    JobQueued
    | JobStarted
    | NodeStarted
    | NodeProgress
    | NodeResumed
    | NodePreview
    | NodeReport
    | NodeCached
    | NodeFinished
    | NodeFailed
    | NodeRetried
    | NodeSkipped
    | OutputMade
    | JobFinished
    | JobFailed
    | JobCancelled,
    Field(discriminator="event"),
]
"""Any event, for reading one back: `TypeAdapter(AnyEvent).validate_json(line)`."""

OnEvent = Callable[[Event], None]


def to_json(event: Event) -> Mapping[str, Any]:
    """An event as JSON data, without what is bytes."""
    return event.model_dump(mode="json")
