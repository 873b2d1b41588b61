"""What answers look like that no request is read as, for OpenAPI alone; imported when somebody asks for that.

A field that does not apply is absent, where it has a default here.
"""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, RootModel

from weft.engine.declaring.node_type import CachePolicy, Resource
from weft.engine.forecaster import Will
from weft.engine.planning.parts import What
from weft.engine.reasons import State
from weft.graphs.problems import Problem
from weft.server.api.shapes import Absent, Job, Output


class JobPage(BaseModel):
    """Jobs, newest first. `next` is the cursor of the page behind this one."""

    jobs: list[Job]
    next: str | None


class JobOutput(Output):
    """Something that a job made, and which one."""

    job: str
    finished: float | None


class OutputPage(BaseModel):
    """What jobs made, newest first. `next` is the cursor of the page behind this one."""

    outputs: list[JobOutput]
    next: str | None


class StoredFile(BaseModel):
    """A file that is kept under the hash of its content; width and height are an image's, in pixels."""

    file: str = Field(description="sha256: and 64 hex digits; documents name it so.")
    mime: str
    bytes: int
    width: int | Absent = None
    height: int | Absent = None


class Worker(BaseModel):
    """A worker process."""

    worker: int
    alive: bool
    job: str | None = Field(description="The job that it runs.")
    jobs: int = Field(description="How many it has had since its start.")
    deaths: int
    models: list[str] = Field(description="Those that its last jobs needed, as node type and name.")


class Queue(BaseModel):
    """How the queue is."""

    paused: bool
    queued: int
    running: int
    workers: list[Worker]


class Problems(BaseModel):
    """All that is wrong; nothing where the list is empty."""

    problems: list[Problem]


class NodeChange(BaseModel):
    """One thing that is other than when a node ran last. What does not apply is absent."""

    what: What
    input: str | Absent = Field(None, description="Name of the input; of a list with the item, as items[2].")
    source: str | Absent = Field(None, description="The node that is linked there, where that gives another result.")
    was: str | Absent = Field(None, description="As it was, shortened.")
    now: str | Absent = None
    text: str = Field(description="In words.")


class Cause(NodeChange):
    """A change, the node that it is at, and the nodes on the way down from there, the asked-for one last."""

    node: str
    through: list[str]


class Why(BaseModel):
    """Why a node would run, or had to where it is cached, compared with its nearest earlier result."""

    node: str
    state: State
    text: str = Field(description="In words, a line for each cause.")
    causes: list[Cause]
    files: list[str] = Field(description="Of a result that is gone, the files that are not in place.")
    compared: str | None = Field(description="The node of a document that the nearest earlier result was of.")


class JobReason(BaseModel):
    """Why a node of a job ran, or did not."""

    ran: bool
    text: str = Field(description="In words, a line for each cause.")
    causes: list[Cause]


class JobReasons(BaseModel):
    """Why the nodes of a job ran, by their ids."""

    nodes: dict[str, JobReason]


class PlannedNode(BaseModel):
    """What would become of a node."""

    will: Will
    reason: str = Field("", description="Why, in a few words.")
    tier: Literal["memory", "disk", "unneeded"] | Absent = Field(None, description="Where a cached result is.")
    steps: int | Absent = Field(None, description="Of a node that is resumed: so many steps are there already.")
    of: int | Absent = Field(None, description="Of so many.")
    seconds: float | Absent = Field(None, description="How long nodes of its type took lately, times its items.")
    items: int | Absent = Field(None, description="Of a node that runs per item.")
    items_cached: int | Absent = None
    steers: bool = Field(False, description="It only decides what else runs.")
    writes: bool = Field(
        False, description="It writes files, and so runs in each job, even where it writes what it wrote before."
    )
    why: list[NodeChange] | Absent = Field(None, description="Of what runs: what is other than when it ran last.")


class Plan(BaseModel):
    """What a run would do now. `nodes` is empty where a problem is an error; a node in a definition is `use/node`."""

    problems: list[Problem]
    nodes: dict[str, PlannedNode]
    seconds: float | None = Field(description="Null where it is not known of all that runs.")
    counts: dict[Will, int] | Absent = Field(None, description="How many nodes; those that steer are left out.")


class PythonText(BaseModel):
    """A workflow as Python, which has it as `workflow` when it has run, and what a check says of it."""

    python: str
    problems: list[Problem]


class Widget(BaseModel):
    """How an editor shows an input; each kind may have options of its own."""

    model_config = ConfigDict(extra="allow")

    kind: str = Field(description='Such as "textarea", "seed", "file", "folder", "model", "colour".')
    names: list[str] | Absent = Field(None, description="What stands to choose, or what is no path.")


_VARIABLES = "The names in it that stand for one type at a whole node, each with what it may stand for; none for any."


class NodeInput(BaseModel):
    """An input of a node type."""

    name: str
    type: str = Field(description='As a person writes it: "int", "list[Mask]", "Image | Latents", "T".')
    required: bool
    default: Any = Field(None, description="As a document would have it; absent where it is required.")
    optional: bool = Field(False, description="null may be given.")
    many: bool = Field(False, description="It takes a list of literals and links.")
    lazy: bool = Field(False, description="Computed only when the node asks for it.")
    variables: dict[str, list[str]] | Absent = Field(None, description=_VARIABLES)
    range: tuple[float | None, float | None] | Absent = Field(
        None, description="The least and the greatest, ends included; null leaves a side open."
    )
    usual: tuple[float, float] | Absent = Field(None, description="From where to where it mostly is, within the range.")
    choices: list[str | int | float | bool] | Absent = Field(None, description="The literals that it takes.")
    widget: Widget | Absent = None
    help: str = ""


class NodeOutput(BaseModel):
    """An output of a node type."""

    name: str
    type: str
    variables: dict[str, list[str]] | Absent = Field(None, description=_VARIABLES)
    help: str = ""


class TypeFacts(BaseModel):
    """What a name of a type means."""

    fits: list[str] = Field(description="The types of inputs that take it, itself among them.")
    literal: bool = Field(description="A document can hold one; else it comes over a link.")


class TypeTable(RootModel[dict[str, TypeFacts]]):
    """The types that ports have, by the names that stand in their texts."""


class NodeType(BaseModel):
    """A node that there is."""

    name: str
    version: int
    category: str
    summary: str
    help: str
    inputs: list[NodeInput]
    outputs: list[NodeOutput]
    output: bool = Field(description="It is a target where a run names none.")
    resource: Resource
    cache: CachePolicy
    tags: list[str]
    origin: str = Field(description="The pack that it comes from.")


class ModelEntry(BaseModel):
    """A model that loaders find by name."""

    name: str
    kind: str = Field(description='Such as "model", "controlnet", "lora"; "" where it cannot be told.')
    family: str = Field(description='Of the models that it is or is for, such as "sd1"; "" where it is not known.')
    bytes: int
    bundled: bool = Field(description="It came with a pack and lies in no model folder.")
    fault: str = Field(description='Why it cannot be loaded; "" where nothing speaks against it.')


class Device(BaseModel):
    """Where nodes compute; bytes of memory for those that have their own."""

    name: str
    kind: str
    free: int | Absent = None
    total: int | Absent = None


class CacheSizes(BaseModel):
    """How much the cache on disk has; `max_bytes` is null without a bound."""

    results: int
    bytes: int
    max_bytes: int | None


class Disk(BaseModel):
    """Bytes of the data folder's disk: free ones, and those that have to be for a job to be accepted."""

    free: int
    needed: int


class System(BaseModel):
    """How the server is."""

    weft: str | None
    versions: dict[str, str | None] = Field(description="Of libraries; null where one is not installed.")
    python: str
    platform: str
    workers: list[Worker]
    devices: list[Device]
    cache: CacheSizes
    disk: Disk
    clients: int = Field(description="How many follow events now.")


class Health(BaseModel):
    """That the process answers."""

    status: str


class Readiness(BaseModel):
    """Whether jobs are accepted, and why not."""

    ready: bool
    reasons: list[str]


ANSWERS: tuple[type[BaseModel], ...] = (
    JobPage,
    OutputPage,
    StoredFile,
    Queue,
    Problems,
    Plan,
    Why,
    JobReasons,
    PythonText,
    NodeType,
    TypeTable,
    ModelEntry,
    System,
    Health,
    Readiness,
)
"""Those that endpoints name; what these consist of comes with them."""
