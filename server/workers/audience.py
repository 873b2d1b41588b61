"""What workers need of the rest of the server: who follows jobs, and where files go."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol


class Audience(Protocol):
    """Takes what is to be told. None of it may wait."""

    def states(self, job: str, first: int, texts: Sequence[str]) -> None:
        """State events of a job, as JSON texts, which are in the store now; `first` is the number of the first."""

    def passing(self, job: str, event: str, node: str, text: str) -> None:
        """An event that is not stored, as JSON text: the latest one of a kind and node is worth telling."""

    def ended(self, job: str) -> None:
        """Nothing more comes of a job: its last state event has been told."""

    def preview(self, job: str, data: Mapping[str, Any], picture: bytes) -> None:
        """A picture of what is being made."""

    def queue_changed(self) -> None:
        """Jobs came, began, ended or moved."""


@dataclass(frozen=True, slots=True)
class Stored:
    """A file that was taken over: its content id, what it is, and of images the size in pixels."""

    file: str
    mime: str
    bytes: int
    width: int | None = None
    height: int | None = None


class Files(Protocol):
    """Where files of jobs stay."""

    def bring(self, document: str) -> None:
        """See to it that nodes can read the files that a document names; not in the event loop's thread.

        Raises:
            OSError: there is no room.
        """

    def take(self, path: Path) -> Stored:
        """Keep a file under the hash of its content; not in the event loop's thread.

        Nothing removes it until `ended` is called.

        Raises:
            OSError: it cannot be read, or there is no room.
        """

    def ended(self, files: Iterable[str]) -> None:
        """The job that made these has ended: the store names them now, or nobody does."""
