"""What the store keeps: jobs, their outputs, and what is asked of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

State = Literal["queued", "running", "done", "failed", "cancelled"]
ENDED: frozenset[str] = frozenset({"done", "failed", "cancelled"})


@dataclass(frozen=True, slots=True)
class Output:
    """Something that a job made.

    Attributes:
        kind: "image", "file" or "value".
        file: content id of a file (`sha256:` and 64 hex digits); None for values.
        value: what a value is, as JSON data.
        width, height: of images, in pixels.
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


@dataclass(frozen=True, slots=True)
class Request:
    """A job as somebody wants it.

    Attributes:
        document: the workflow as JSON text, with everything set.
        targets: what is to be made; empty for every output.
        model: what tells which model it needs, so that a worker that holds it may take it; "" when nobody knows.
        slot: a newer job of a slot cancels those before it.
        key, digest: idempotency key and a hash of the body that came with it.
    """

    document: str
    targets: tuple[str, ...] = ()
    priority: int = 0
    title: str = ""
    tags: tuple[str, ...] = ()
    slot: str | None = None
    model: str = ""
    key: str | None = None
    digest: str = ""


@dataclass(frozen=True, slots=True)
class Job:
    """A job as it is. Times are seconds since 1970.

    Attributes:
        id: sorts by time.
        position: how many queued jobs come before it; None when it is not queued.
        attempts: how many workers died on it.
        done, cached, of: how many of its nodes are done or came from the cache, and how many there are.
        error: `ErrorDetail` as data.
        cancelling: somebody asked for its end, and its worker has not ended it yet.
    """

    id: str
    state: State
    created: float
    title: str = ""
    tags: tuple[str, ...] = ()
    priority: int = 0
    position: int | None = None
    slot: str | None = None
    model: str = ""
    targets: tuple[str, ...] = ()
    started: float | None = None
    finished: float | None = None
    attempts: int = 0
    done: int = 0
    cached: int = 0
    of: int = 0
    seconds: float | None = None
    ran: int | None = None
    error: dict[str, Any] | None = None
    cancelling: bool = False
    outputs: tuple[Output, ...] = ()


@dataclass(frozen=True, slots=True)
class Claim:
    """A job that a worker has been given.

    Attributes:
        epoch: counts the claims of this job. What is said in the name of an earlier one is refused.
        events: how many state events the job has: the number of the next.
        more: the jobs that were claimed with it, to be done after it.
    """

    job: Job
    document: str
    epoch: int
    events: int
    more: tuple[Claim, ...] = ()


@dataclass(frozen=True, slots=True)
class Ending:
    """How a job ended.

    Attributes:
        state: "done", "failed" or "cancelled".
        events: the last state events, as JSON texts.
    """

    state: State
    outputs: tuple[Output, ...] = ()
    error: dict[str, Any] | None = None
    seconds: float | None = None
    ran: int | None = None
    cached: int = 0
    of: int = 0
    events: tuple[str, ...] = field(default=())


@dataclass(slots=True)
class Heard:
    """What happened in a store that several servers share.

    Attributes:
        anew: nobody listened for a while, or never did: anything may have happened.
        queue: the queue may be another one.
        events: state events that were stored, in the order of their transactions: the job's id, the number of the first
            one, and the number after the last one.
    """

    anew: bool = False
    queue: bool = False
    events: list[tuple[str, int, int]] = field(default_factory=list)
