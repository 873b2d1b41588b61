"""The calls in the name of workers: jobs are claimed, told of, ended and given back."""

from __future__ import annotations

import builtins
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from weft.server.store.base import Sql, writes
from weft.server.store.lookups import Lookups
from weft.server.store.protocol import Also, Fenced, MakeEvent
from weft.server.store.records import ENDED, Claim, Ending, Job
from weft.server.store.rows import OUTPUT_COLUMNS, Row, job_of, output_values

_CANDIDATES = 16
"""How many jobs are looked at where another server may take one of them first."""
_MOST_MORE = 15
"""How many jobs may be claimed with another one."""
_MOMENT = 1e-6
_MOST_TEXT = 16 * 1024
"""Characters of a document whose job may be claimed with others."""


class Leases(Lookups):
    """What workers ask for."""

    @writes
    def claim(
        self,
        sql: Sql,
        owner: str,
        now: float,
        *,
        models: Sequence[str] = (),
        look_ahead: int = 32,
        patience: float = 60.0,
        also: Also | None = None,
    ) -> Claim | None:
        if self.paused():
            return None
        claim = self._first(sql, owner, now, models, look_ahead, patience)
        if claim is None or also is None or len(claim.document) > _MOST_TEXT or not also(claim.document):
            return claim
        return replace(claim, more=tuple(self._more(sql, owner, now, claim.job.model, also)))

    def _more(self, sql: Sql, owner: str, now: float, model: str, also: Also) -> Iterator[Claim]:
        """The jobs that come next in the queue, as long as they may be claimed with the one before."""
        rows = sql.execute(
            "SELECT seq, model, document FROM jobs WHERE state = 'queued' ORDER BY rank, place, seq LIMIT ?",
            (_MOST_MORE,),
        ).fetchall()
        for place, row in enumerate(rows, 1):
            text = sql.execute(
                "SELECT CASE WHEN length(text) <= ? THEN text END AS text FROM documents WHERE hash = ?",
                (_MOST_TEXT, row["document"]),
            ).fetchone()["text"]
            if row["model"] != model or text is None or not also(text):
                return
            # A moment later each, so that their times tell their order.
            claim = self._take(sql, row["seq"], owner, now + place * _MOMENT, text)
            if claim is None:  # another server was quicker
                return
            yield claim

    def _first(
        self, sql: Sql, owner: str, now: float, models: Sequence[str], look_ahead: int, patience: float
    ) -> Claim | None:
        """The next job, or one that may pass it."""
        rows = sql.execute(
            "SELECT seq, rank, model, passed FROM jobs WHERE state = 'queued' ORDER BY rank, place, seq LIMIT ?",
            (1 + look_ahead if models else _CANDIDATES if self.dialect.unless_taken else 1,),
        ).fetchall()
        first = _preferred(rows, now, models, patience)
        for place in dict.fromkeys((first, *range(len(rows)))):
            claim = self._take(sql, rows[place]["seq"], owner, now) if rows else None
            if claim is None:
                continue
            passed = [(now, row["seq"]) for row in rows[:place] if row["passed"] is None]
            if place == first:
                sql.executemany("UPDATE jobs SET passed = ? WHERE seq = ?", passed)
            return claim
        return None

    def _take(self, sql: Sql, seq: int, owner: str, now: float, text: str | None = None) -> Claim | None:
        """The lease of a queued job, whose document may be known; None where another server was quicker."""
        row = sql.execute(
            "UPDATE jobs SET state = 'running', owner = ?, started = ?, epoch = epoch + 1 WHERE seq ="
            f" (SELECT seq FROM jobs WHERE seq = ? AND state = 'queued'{self.dialect.unless_taken})"
            " RETURNING *",
            (owner, now, seq),
        ).fetchone()
        return None if row is None else self._claim(sql, row, text)

    def _claim(self, sql: Sql, row: Row, text: str | None = None) -> Claim:
        """The lease of the running job of a row."""
        if text is None:
            text = sql.execute("SELECT text FROM documents WHERE hash = ?", (row["document"],)).fetchone()["text"]
        assert text is not None
        return Claim(job_of({**dict(row), "position": None}), text, row["epoch"], row["events"])

    @writes
    def record(self, sql: Sql, id: str, epoch: int, events: Sequence[str], progress: tuple[int, int, int]) -> int:
        row = self._fence(
            sql, id, epoch, "events = events + ?, done = ?, cached = ?, total = ?", len(events), *progress
        )
        count: int = row["events"]
        self._append(sql, row["seq"], count - len(events), events)
        return count

    def _fence(self, sql: Sql, id: str, epoch: int, change: str, *values: Any) -> Row:
        """Change a running job in the name of whoever has its lease. Raises Fenced."""
        row: Row | None = sql.execute(
            f"UPDATE jobs SET {change} WHERE id = ? AND epoch = ? AND state = 'running' RETURNING *",
            (*values, id, epoch),
        ).fetchone()
        if row is None:
            raise Fenced(f"The job {id!r} is not run under epoch {epoch} any more.")
        return row

    @writes
    def end(self, sql: Sql, id: str, epoch: int, ending: Ending, now: float) -> Job:
        if ending.state not in ENDED:
            raise ValueError(f"A job ends as one of {', '.join(sorted(ENDED))}, not as {ending.state!r}.")
        change = "state = ?, finished = ?, error = ?, seconds = ?, ran = ?, cancelling = 0, events = events + ?"
        values = [ending.state, now, _json(ending.error), ending.seconds, ending.ran, len(ending.events)]
        if ending.of:
            change += ", done = coalesce(?, done), cached = ?, total = ?"
            values += [ending.ran, ending.cached, ending.of]
        row = self._fence(sql, id, epoch, change, *values)
        self._append(sql, row["seq"], row["events"] - len(ending.events), ending.events)
        sql.executemany(
            f"INSERT INTO outputs ({OUTPUT_COLUMNS}) VALUES ({','.join('?' * 11)})",
            [output_values(row["seq"], number, output) for number, output in enumerate(ending.outputs)],
        )
        return job_of({**dict(row), "position": None}, ending.outputs)

    @writes
    def give_back(
        self,
        sql: Sql,
        id: str,
        epoch: int,
        *,
        died: bool,
        now: float,
        most: int = 3,
        error: Mapping[str, Any] | None = None,
        event: MakeEvent | None = None,
    ) -> Job:
        row = self._fence(sql, id, epoch, "owner = NULL, attempts = attempts + ?", int(died))
        poisonous = died and row["attempts"] >= most
        if row["cancelling"] or poisonous:
            state, detail = ("cancelled", None) if row["cancelling"] else ("failed", _json(error))
            sql.execute(
                "UPDATE jobs SET state = ?, finished = ?, error = ?, cancelling = 0 WHERE seq = ?",
                (state, now, detail, row["seq"]),
            )
            self._tell(sql, row["seq"], event)
        else:
            sql.execute(
                "UPDATE jobs SET state = 'queued', started = NULL, done = 0, cached = 0, total = 0 WHERE seq = ?",
                (row["seq"],),
            )
            self._wake(sql)
        return self._job(sql, row["seq"])

    @writes
    def abandoned(self, sql: Sql, owner: str) -> builtins.list[Claim]:
        rows = sql.execute("SELECT DISTINCT owner FROM jobs WHERE state = 'running'").fetchall()
        others = sorted(row["owner"] for row in rows if row["owner"] != owner)
        claims: builtins.list[Claim] = []
        for other in self._are_gone(sql, others):
            taken = sql.execute(
                "UPDATE jobs SET owner = ?, epoch = epoch + 1 WHERE state = 'running' AND owner = ? RETURNING *",
                (owner, other),
            ).fetchall()
            claims += [self._claim(sql, row) for row in taken]
        return sorted(claims, key=lambda claim: claim.job.id)


def _preferred(rows: Sequence[Row], now: float, models: Sequence[str], patience: float) -> int:
    """Which of the next jobs is best taken: the first whose model is there already, unless one before it has been
    passed long enough."""
    for place, row in enumerate(rows):
        if row["rank"] != rows[0]["rank"]:
            break
        if row["model"] in models:
            return place
        # A clock that was set back makes the time since negative, and nobody is to wait for it to come round again.
        if row["passed"] is not None and not 0 <= now - row["passed"] < patience:
            break
    return 0


def _json(data: Mapping[str, Any] | None) -> str | None:
    return None if data is None else json.dumps(data)
