"""What all calls of a store in SQL stand on: transactions, the two dialects, and finding a job."""

from __future__ import annotations

import functools
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any, Concatenate, ParamSpec, Protocol, TypeVar

from weft.server.store.protocol import MakeEvent, Missing
from weft.server.store.records import Job, Output
from weft.server.store.rows import JOB, Row, job_of, output_of

T = TypeVar("T")
P = ParamSpec("P")
S = TypeVar("S", bound="SqlBase")

_AT_ONCE = 500
"""Rows of one `IN (...)`."""


class Sql(Protocol):
    """A connection within a transaction. Values stand for `?`; rows give their columns by name."""

    def execute(self, text: str, values: Sequence[Any] = (), /) -> Any: ...

    def executemany(self, text: str, values: Any, /) -> Any: ...


@dataclass(frozen=True, slots=True)
class Dialect:
    """Where the databases differ.

    Attributes:
        unless_taken: ends a SELECT of a row that is about to be changed, so that another server is not waited for.
        alone: a statement that makes other servers wait until this transaction ends, so that ids, the order of the
            queue, the number of queued jobs and the documents stay right; "" where there is one server.
        wake: a statement that tells other servers that there may be something to do; "" where there is one.
        words: what is written otherwise in the statements that make tables.
    """

    unless_taken: str = ""
    alone: str = ""
    wake: str = ""
    words: tuple[tuple[str, str], ...] = ()

    def table(self, statement: str) -> str:
        """A statement of the schema in this dialect."""
        for ours, theirs in self.words:
            statement = statement.replace(ours, theirs)
        return statement


class SqlBase(ABC):
    """Jobs in tables; how to come by a connection is said by each database."""

    dialect: Dialect
    most_queued: int

    @abstractmethod
    def _write(self, change: Callable[[Sql], T]) -> T:
        """Make a transaction of `change`; within `apply` it is part of that of all the calls."""

    @abstractmethod
    def _read(self, look: Callable[[Sql], T]) -> T:
        """Look at what is in the database at one moment; within `apply`, with what was written before."""

    @abstractmethod
    def _check_space(self) -> None:
        """Raise NoSpace where the disk has no room for new jobs."""

    @abstractmethod
    def _are_gone(self, sql: Sql, owners: Sequence[str]) -> list[str]:
        """Which of these other owners run no more."""

    @abstractmethod
    def _concerns_all(self, error: Exception) -> bool:
        """Whether an error within `apply` ends all of its calls."""

    def _be_alone(self, sql: Sql) -> None:
        if self.dialect.alone:
            sql.execute(self.dialect.alone)

    def _wake(self, sql: Sql) -> None:
        if self.dialect.wake:
            sql.execute(self.dialect.wake)

    def _jobs(self, sql: Sql, rows: Sequence[Row]) -> list[Job]:
        """Jobs of rows of `JOB`, with their outputs."""
        ended = [row["seq"] for row in rows if row["finished"] is not None]
        outputs: dict[int, tuple[Output, ...]] = {}
        for start in range(0, len(ended), _AT_ONCE):
            some = ended[start : start + _AT_ONCE]
            marks = ",".join("?" * len(some))
            found = sql.execute(f"SELECT * FROM outputs WHERE job IN ({marks}) ORDER BY job, number", some).fetchall()
            for seq, group in groupby(found, key=lambda row: row["job"]):
                outputs[seq] = tuple(map(output_of, group))
        return [job_of(row, outputs.get(row["seq"], ())) for row in rows]

    def _job(self, sql: Sql, seq: int) -> Job:
        row = sql.execute(f"SELECT {JOB} FROM jobs AS j WHERE j.seq = ?", (seq,)).fetchone()
        return self._jobs(sql, [row])[0]

    def _row(self, sql: Sql, id: str, columns: str = "*") -> Row:
        """The columns of a job. Raises Missing."""
        row: Row | None = sql.execute(f"SELECT {columns} FROM jobs AS j WHERE j.id = ?", (id,)).fetchone()
        if row is None:
            raise Missing(f"There is no job {id!r}.")
        return row

    def _append(self, sql: Sql, seq: int, first: int, events: Sequence[str]) -> None:
        rows: Iterator[tuple[int, int, str]] = ((seq, first + place, text) for place, text in enumerate(events))
        sql.executemany("INSERT INTO events (job, number, text) VALUES (?, ?, ?)", rows)

    def _tell(self, sql: Sql, seq: int, event: MakeEvent | None) -> None:
        """Append the state event that `event` gives for the job as it is now."""
        if event is None:
            return
        row = sql.execute("UPDATE jobs SET events = events + 1 WHERE seq = ? RETURNING events", (seq,)).fetchone()
        number = row["events"] - 1
        self._append(sql, seq, number, [event(self._job(sql, seq), number)])


def writes(method: Callable[Concatenate[S, Sql, P], T]) -> Callable[Concatenate[S, P], T]:
    """Makes a transaction of each call; on a full disk it may be called a second time."""

    @functools.wraps(method)
    def call(self: S, /, *args: P.args, **kwargs: P.kwargs) -> T:
        return self._write(lambda sql: method(self, sql, *args, **kwargs))

    return call


def reads(method: Callable[Concatenate[S, Sql, P], T]) -> Callable[Concatenate[S, P], T]:
    """Lets each call see one moment of the database."""

    @functools.wraps(method)
    def call(self: S, /, *args: P.args, **kwargs: P.kwargs) -> T:
        return self._read(lambda sql: method(self, sql, *args, **kwargs))

    return call
