"""What requests and answers look like, for reading them and for OpenAPI."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, WithJsonSchema
from pydantic.json_schema import SkipJsonSchema

from weft.graphs.problems import Problem
from weft.server.store import records

LINE = r"^[^\x00-\x1f\x7f]*$"
"""Text without control characters: it stands in lists, logs and terminals. A database may refuse a null in it, too."""
Text = Annotated[str, Field(max_length=200, pattern=LINE)]
Word = Annotated[str, Field(min_length=1, max_length=64, pattern=LINE)]
DOCUMENT = "weft"
"""The format by which OpenAPI's description finds the places of documents."""
Document = Annotated[dict[str, Any], WithJsonSchema({"type": "object", "format": DOCUMENT})]
Absent = SkipJsonSchema[None]
"""In the place of None where a field is absent and never null."""


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid")


class RunRequest(_Strict):
    """How a workflow is run."""

    set: dict[str, Any] | list[str] = Field(
        default_factory=dict,
        description="Values by parameter or node.input; or texts NAME=VALUE, read as what the input takes.",
    )
    targets: list[Text] = Field(default_factory=list, max_length=1000)
    priority: int = Field(0, ge=-1000, le=1000)
    title: Text = ""
    tags: list[Word] = Field(default_factory=list, max_length=32)
    slot: Word | None = Field(None, description="A newer job of a slot cancels those before it.")


class JobRequest(RunRequest):
    """A job: one run of one document."""

    workflow: Document | None = Field(None, description="The document.")
    saved: Text | None = Field(None, description="The name of a saved workflow, in place of `workflow`.")


class CheckRequest(_Strict):
    """A workflow with settings."""

    workflow: Document
    set: dict[str, Any] | list[str] = Field(default_factory=dict)
    targets: list[Text] = Field(default_factory=list, max_length=1000)


class WhyRequest(_Strict):
    """A node of a workflow with settings."""

    workflow: Document
    set: dict[str, Any] | list[str] = Field(default_factory=dict)
    node: Annotated[str, Field(max_length=1000)] = Field(description="Its id; inside a definition `use/node`.")


class MoveRequest(_Strict):
    """Another place in the queue."""

    priority: int | None = Field(None, ge=-1000, le=1000)
    before: Text | None = None


class Progress(BaseModel):
    """How many nodes are done, came from the cache, and are there."""

    done: int
    cached: int
    of: int


class Output(BaseModel):
    """Something that a job made; what does not apply is absent."""

    node: str
    kind: Literal["image", "file", "value"]
    name: str = ""
    file: str | Absent = Field(None, description="Its content id: sha256: and 64 hex digits.")
    mime: str | Absent = None
    bytes: int | Absent = None
    width: int | Absent = Field(None, description="Of an image, in pixels.")
    height: int | Absent = None
    value: Any = Field(None, description="What a value is.")


class JobError(BaseModel):
    """Why a job failed."""

    node: str = Field(description="The node that failed; several, with commas, that ran when a worker died; or none.")
    type: str = Field(description="Its type.")
    exception: str
    message: str
    traceback: str
    code: str = Field("", description="Where it was no node's own failure, such as worker_died; else absent.")
    problems: list[Problem] | Absent = Field(None, description="Where the workflow turned out to have errors.")


class Job(BaseModel):
    """A job. Times are seconds since 1970."""

    id: str
    state: records.State
    title: str
    tags: list[str]
    priority: int
    position: int | None
    slot: str | None
    created: float
    started: float | None
    finished: float | None
    attempts: int
    progress: Progress
    seconds: float | None
    ran: int | None
    cached: int
    outputs: list[Output]
    error: JobError | None


class Example(BaseModel):
    """A workflow that comes with Weft. `image` is where a picture of it is; null where there is none."""

    name: str
    title: str
    description: str
    image: str | None


class Listed(BaseModel):
    """A saved workflow. `problem` says why it cannot be read, where somebody edited it by hand; else it is absent."""

    name: str
    title: str
    modified: float
    etag: str
    problem: str | None = None


class Version(Listed):
    """An earlier version of a saved workflow, by its number."""

    version: str


class Imported(BaseModel):
    """A workflow, and what was not understood or has to be done by hand, a sentence each."""

    workflow: Document
    notes: list[str]


def job_data(job: records.Job) -> dict[str, Any]:
    """A job as JSON data."""
    return {
        "id": job.id,
        "state": job.state,
        "title": job.title,
        "tags": list(job.tags),
        "priority": job.priority,
        "position": job.position,
        "slot": job.slot,
        "created": job.created,
        "started": job.started,
        "finished": job.finished,
        "attempts": job.attempts,
        "progress": {"done": job.done, "cached": job.cached, "of": job.of},
        "seconds": job.seconds,
        "ran": job.ran,
        "cached": job.cached,
        "outputs": [output_data(output) for output in job.outputs],
        "error": job.error,
    }


def output_data(output: records.Output) -> dict[str, Any]:
    """An output as JSON data."""
    names = ("name", "file", "mime", "bytes", "width", "height", "value")
    found = {name: getattr(output, name) for name in names}
    return {
        "node": output.node,
        "kind": output.kind,
        **{name: item for name, item in found.items() if item is not None},
    }
