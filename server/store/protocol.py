"""What the server asks of the place where its jobs are kept.

Each method is one transaction: it happens entirely, and is on disk when the method returns, or not at all. `apply`
makes one transaction of several, so that many small changes wait for the disk once.
"""

from __future__ import annotations

import builtins
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

from weft.server.store.records import Claim, Ending, Job, Request, State

MakeEvent = Callable[[Job, int], str]
"""Gives a state event as JSON text, from the job as it is after the change and the number of the event. It is called
within the transaction, which may still fail: what is told to listeners is told when the method has returned."""

Also = Callable[[str], bool]
"""Says of the document of a job whether the job may be claimed with those before it. It is called within the
transaction, in the order of the queue, and not again once it said no."""


class StoreError(Exception):
    """The store cannot do what it is asked for."""


class Missing(StoreError):  # noqa: N818
    """There is no such job."""


class Conflict(StoreError):  # noqa: N818
    """The job is not in a state in which that can be done, or the idempotency key came with another body."""


class QueueFull(StoreError):  # noqa: N818
    """As many jobs are queued as may be."""


class Fenced(StoreError):  # noqa: N818
    """A worker speaks of a job that was taken from it: nothing of what it says is kept."""


class NoSpace(StoreError):  # noqa: N818
    """The disk is full: nothing of the call was written. Endings go on being written for a while, new jobs do not."""


class Unavailable(StoreError):  # noqa: N818
    """The database cannot be used now: another program has locked it, it is damaged, or the disk fails."""


class Closed(StoreError):  # noqa: N818
    """The store was closed before the call."""


class NewerDatabase(StoreError):  # noqa: N818
    """The database was written by a newer Weft. It is left untouched."""


class JobStore(Protocol):
    """Jobs, their state events, outputs and idempotency keys. May be used by several threads.

    `now` is the time on the wall in seconds since 1970, for what is shown; leases are not measured by it.
    """

    # -- from clients

    def submit(
        self,
        requests: Sequence[Request],
        now: float,
        *,
        queued: MakeEvent | None = None,
        cancelled: MakeEvent | None = None,
    ) -> builtins.list[tuple[Job, bool]]:
        """Queue jobs, all or none; each with whether it is new. With a known key and the same digest the job of
        before is returned. A new job of a slot cancels the slot's older ones: queued ones end, of running ones the
        end is asked for (see `cancelling`).

        Args:
            queued: gives the first state event of each new job.
            cancelled: gives the last state event of each queued job that a new one of its slot ends.

        Raises:
            Conflict: a key came with another digest before.
            QueueFull: too many are queued.
            NoSpace: the disk is full.
        """

    def get(self, id: str) -> Job:
        """A job with its outputs. Raises Missing."""

    def document(self, id: str) -> str:
        """The workflow that it runs, as JSON text. Raises Missing."""

    def list(
        self, *, state: State | None = None, tag: str | None = None, limit: int = 50, before: str | None = None
    ) -> builtins.list[Job]:
        """Jobs, newest first, with their outputs. `before`: those that are older than the job of this id, which
        need not be there any more."""

    def cancel(self, id: str, now: float, event: MakeEvent) -> Job:
        """End a queued job, or ask for the end of a running one; of one that has ended nothing happens.

        Args:
            event: gives the last state event of a job that was queued.

        Raises: Missing."""

    def move(self, id: str, *, priority: int | None = None, before: str | None = None) -> Job:
        """Change the place of a queued job: its priority, or right before another queued one (whose priority it
        gets). Raises Missing, and Conflict where one of them is not queued."""

    def delete(self, id: str) -> builtins.list[str]:
        """Remove a job that has ended with its events and outputs; returns the files that it named, as outputs or
        in its document, and that no other job names. Raises Missing, Conflict."""

    def events(self, id: str, since: int = 0, limit: int = 1_000) -> builtins.list[str]:
        """State events from number `since` on, as JSON texts. Raises Missing."""

    # -- from workers

    def claim(
        self,
        owner: str,
        now: float,
        *,
        models: Sequence[str] = (),
        look_ahead: int = 32,
        patience: float = 60.0,
        also: Also | None = None,
    ) -> Claim | None:
        """The next queued job, from now on this owner's: by priority, then by age. One whose model is among `models`
        may pass up to `look_ahead` others of its priority, none of which was passed first `patience` seconds ago.

        Args:
            owner: the server, as it is named for as long as it runs.
            also: says of the job, and then of those that come next in the queue, whether they may be done with it.
                These are claimed too (`Claim.more`), up to the first one that it refuses, that needs another model, or
                whose document is long.
        """

    def record(self, id: str, epoch: int, events: Sequence[str], progress: tuple[int, int, int]) -> int:
        """Append state events of a running job and note (done, cached, of); returns how many events it has now.
        Raises Fenced."""

    def end(self, id: str, epoch: int, ending: Ending, now: float) -> Job:
        """A job has ended; its outputs are published with it. Where `ending.of` is 0 the progress that was recorded
        stays. Raises Fenced."""

    def give_back(
        self,
        id: str,
        epoch: int,
        *,
        died: bool,
        now: float,
        most: int = 3,
        error: Mapping[str, Any] | None = None,
        event: MakeEvent | None = None,
    ) -> Job:
        """Return a running job to its place in the queue. With `died` its attempts are one more, and the `most`-th
        one fails it with `error` and the last state event that `event` gives. One whose end was asked for is
        cancelled, with an event likewise. Raises Fenced."""

    def abandoned(self, owner: str) -> builtins.list[Claim]:
        """Running jobs whose owner is not this server and is gone: those of a server that ended without a word.
        They are this owner's now and their epochs are raised, so that nobody else speaks of them any more;
        `give_back` them. Where several servers share the store, ask again from time to time."""

    def cancelling(self, owner: str) -> builtins.list[str]:
        """Ids of this owner's running jobs whose end was asked for."""

    # -- about the whole

    def counts(self) -> dict[State, int]:
        """How many jobs there are in each state."""

    def oldest_queued(self) -> float | None:
        """When the oldest queued job was created."""

    def named_files(self) -> set[str]:
        """Content ids that jobs name: as outputs, or in their documents."""

    def paused(self) -> bool:
        """Whether the queue is paused: claims give nothing. It stays so over restarts."""

    def pause(self, paused: bool) -> None:
        """Pause the queue, or let it go on."""

    def sweep(self, now: float) -> int:
        """Forget idempotency keys that are older than a day; returns how many."""

    def apply(self, calls: Sequence[Callable[[JobStore], Any]]) -> builtins.list[Any]:
        """Make several calls in one transaction; what one raises undoes that one alone and stands in its place in
        the list. What concerns all of them (`NoSpace`, `Unavailable`) is raised, and then none has happened."""

    def close(self) -> None:
        """Give everything back to the system."""
