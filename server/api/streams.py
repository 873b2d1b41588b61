"""What goes over the websocket and in lists of events, for OpenAPI alone, which has no word for a websocket itself."""

from __future__ import annotations

from typing import Any, Literal, get_args

from pydantic import BaseModel, Field

from weft.engine import events

_PASSING = ("node_progress",)
"""Not stored, so they have no number among the state events."""


class WorkerStarted(events.Event):
    """A worker was started for the job, which took so many seconds. It comes before the first node."""

    event: Literal["worker_started"] = "worker_started"
    worker: int
    seconds: float


class OutputMade(events.OutputMade):
    """A target's result is there."""

    ref: str = Field(description="A file's content id, or node.output of a value.")
    name: str = Field("", description="The name of a file; absent for values.")


class QueueChanged(BaseModel):
    """The queue is another one."""

    event: Literal["queue"]
    paused: bool
    queued: int
    running: int


class CatalogueChanged(BaseModel):
    """There are other nodes now."""

    event: Literal["catalogue"]


class WorkflowChanged(BaseModel):
    """A saved workflow is another one; `etag` is null where it was deleted."""

    event: Literal["workflow"]
    name: str
    etag: str | None


class Wanted(BaseModel):
    """What a client wants to be told."""

    jobs: Literal["all"] | list[str] = Field(default=[], description="Ids, or all there are and will be.")
    since: dict[str, int] = Field(default={}, description="By a job's id the state event to begin with.")
    previews: bool = False
    queue: bool = Field(False, description="The queue, the catalogue and saved workflows.")


class Subscription(BaseModel):
    """What a client sends at the websocket, and may send again at any time."""

    subscribe: Wanted


class PreviewFrame(BaseModel):
    """A binary frame of the websocket, in msgpack: a picture of how far a node is."""

    v: Literal[1]
    event: Literal["node_preview"]
    job: str
    node: str
    seq: int
    mime: str
    width: int
    height: int
    data: bytes = Field(json_schema_extra={"contentMediaType": "application/octet-stream"})


OTHERS: tuple[type[BaseModel], ...] = (Subscription, PreviewFrame)
_OF_SERVER: tuple[type[BaseModel], ...] = (QueueChanged, CatalogueChanged, WorkflowChanged)


def event_schemas(ref: str) -> dict[str, Any]:
    """The schema of each event by its name, of `Event` (any of a job's) and of `ServerEvent` (any text frame).

    Args:
        ref: where schemas are, with {model} for the name.
    """
    own = {"OutputMade": OutputMade}
    engines = [own.get(kind.__name__, kind) for kind in get_args(get_args(events.AnyEvent)[0])]
    jobs = [kind for kind in engines if kind is not events.NodePreview] + [WorkerStarted]
    found: dict[str, Any] = {}
    for kind in (*jobs, *_OF_SERVER):
        schema = kind.model_json_schema(ref_template=ref)
        schema.pop("$defs", None)
        if "error" in schema["properties"]:  # with what the server adds to it
            schema["properties"]["error"] = {"$ref": ref.format(model="JobError")}
        found[kind.__name__] = schema
        required = {"event", *schema.get("required", ())}
        if kind in jobs:
            required |= {"node"}
            if schema["properties"]["event"]["const"] not in _PASSING:
                about = "Its number among the state events of the job, from 0 without a gap; `since` is told it."
                schema["properties"]["state"] = {"type": "integer", "description": about}
                required |= {"state"}
        schema["required"] = [name for name in schema["properties"] if name in required]
        schema["properties"]["event"].pop("default", None)
    found["Event"] = _any_of(jobs, ref, "An event of a job.")
    found["ServerEvent"] = _any_of([*jobs, *_OF_SERVER], ref, "A text frame of the websocket.")
    found["EventPage"] = {
        "title": "EventPage",
        "description": "State events of a job, in their order.",
        "type": "object",
        "properties": {"events": {"type": "array", "items": {"$ref": ref.format(model="Event")}}},
        "required": ["events"],
    }
    return found


def _any_of(kinds: list[type[Any]] | tuple[type[Any], ...], ref: str, description: str) -> dict[str, Any]:
    by_name = {kind.model_fields["event"].annotation: ref.format(model=kind.__name__) for kind in kinds}
    return {
        "description": description,
        "oneOf": [{"$ref": place} for place in by_name.values()],
        "discriminator": {
            "propertyName": "event",
            "mapping": {get_args(name)[0]: place for name, place in by_name.items()},
        },
    }
