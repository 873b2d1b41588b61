"""The calls of clients that change something: jobs come, move, are cancelled and go."""

from __future__ import annotations

import builtins
import json
from collections.abc import Sequence

from weft.server.store.base import Sql, SqlBase, writes
from weft.server.store.lookups import PAUSED
from weft.server.store.protocol import Conflict, MakeEvent, QueueFull
from weft.server.store.records import ENDED, Job, Request
from weft.server.store.rows import Row, document_hash, files_named, next_id

_DAY = 24 * 3600.0
_GAP = 1 << 20
"""Between the places of two jobs that came one after the other, so that others can be moved between them."""


class Changes(SqlBase):
    """What clients ask for."""

    @writes
    def submit(
        self,
        sql: Sql,
        requests: Sequence[Request],
        now: float,
        *,
        queued: MakeEvent | None = None,
        cancelled: MakeEvent | None = None,
    ) -> builtins.list[tuple[Job, bool]]:
        self._be_alone(sql)
        waiting = sql.execute("SELECT count(*) AS jobs FROM jobs WHERE state = 'queued'").fetchone()["jobs"]
        found: builtins.list[tuple[Job | int, bool]] = []
        for request in requests:
            known = self._known(sql, request, now)
            if known is not None:
                found.append((known, False))
                continue
            waiting -= self._supersede(sql, request.slot, now, cancelled)
            if waiting >= self.most_queued:
                raise QueueFull(f"{waiting} jobs are queued, which is as many as may be.")
            self._check_space()
            job = self._insert(sql, request, now, waiting, queued)
            # One that is alone is as it was when it came; others may have been moved on by those after it.
            found.append((job if len(requests) == 1 else self._row(sql, job.id, "j.seq")["seq"], True))
            waiting += 1
        self._wake(sql)
        return [(job if isinstance(job, Job) else self._job(sql, job), new) for job, new in found]

    def _known(self, sql: Sql, request: Request, now: float) -> int | None:
        """The job that came with the same idempotency key. Raises Conflict."""
        if request.key is None:
            return None
        sql.execute("DELETE FROM idempotency WHERE key = ? AND created <= ?", (request.key, now - _DAY))
        row = sql.execute("SELECT job, digest FROM idempotency WHERE key = ?", (request.key,)).fetchone()
        if row is None:
            return None
        if row["digest"] != request.digest:
            raise Conflict(f"The idempotency key {request.key!r} came with another body before.")
        seq: int = row["job"]
        return seq

    def _supersede(self, sql: Sql, slot: str | None, now: float, event: MakeEvent | None) -> int:
        """Cancel the jobs of a slot; how many of them were queued."""
        if slot is None:
            return 0
        active = "slot = ? AND state IN ('queued', 'running')"
        sql.execute(f"UPDATE jobs SET cancelling = 1 WHERE {active} AND state = 'running'", (slot,))
        rows = sql.execute(
            f"UPDATE jobs SET state = 'cancelled', finished = ? WHERE {active} AND state = 'queued' RETURNING seq",
            (now, slot),
        ).fetchall()
        for row in rows:
            self._tell(sql, row["seq"], event)
        return len(rows)

    def _insert(self, sql: Sql, request: Request, now: float, waiting: int, event: MakeEvent | None) -> Job:
        """Queue a job behind those of its priority.

        Args:
            waiting: how many are queued.
        """
        hash = document_hash(request.document)
        new = sql.execute(
            "INSERT INTO documents (hash, text) VALUES (?, ?) ON CONFLICT DO NOTHING RETURNING hash",
            (hash, request.document),
        ).fetchall()
        if new:
            files = [(hash, file) for file in sorted(files_named(request.document))]
            sql.executemany("INSERT INTO document_files (document, file) VALUES (?, ?)", files)
        last = sql.execute("SELECT seq, id FROM jobs ORDER BY seq DESC LIMIT 1").fetchone()
        seq: int = 1 if last is None else last["seq"] + 1
        id = next_id(now, None if last is None else last["id"])
        sql.execute(
            "INSERT INTO jobs"
            " (seq, id, state, rank, place, document, targets, title, tags, slot, model, created, events)"
            " VALUES (?, ?, 'queued', ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                seq,
                id,
                -request.priority,
                seq * _GAP,
                hash,
                json.dumps(request.targets),
                request.title,
                json.dumps(request.tags),
                request.slot,
                request.model,
                now,
                int(event is not None),
            ),
        )
        sql.executemany(
            "INSERT INTO tags (tag, id, job) VALUES (?, ?, ?)",
            [(tag, id, seq) for tag in dict.fromkeys(request.tags)],
        )
        if request.key is not None:
            sql.execute(
                "INSERT INTO idempotency (key, digest, job, created) VALUES (?, ?, ?, ?)",
                (request.key, request.digest, seq, now),
            )
        below = sql.execute(
            "SELECT count(*) AS jobs FROM jobs WHERE state = 'queued' AND rank > ?", (-request.priority,)
        ).fetchone()["jobs"]
        tags, targets = tuple(request.tags), tuple(request.targets)
        job = Job(
            id, "queued", now, title=request.title, tags=tags, priority=request.priority, position=waiting - below,
            slot=request.slot, model=request.model, targets=targets,
        )  # fmt: skip
        if event is not None:
            self._append(sql, seq, 0, [event(job, 0)])
        return job

    @writes
    def cancel(self, sql: Sql, id: str, now: float, event: MakeEvent) -> Job:
        row = sql.execute(
            "UPDATE jobs SET state = 'cancelled', finished = ? WHERE id = ? AND state = 'queued' RETURNING seq",
            (now, id),
        ).fetchone()
        if row is not None:
            self._tell(sql, row["seq"], event)
        else:
            sql.execute("UPDATE jobs SET cancelling = 1 WHERE id = ? AND state = 'running'", (id,))
            row = self._row(sql, id, "j.seq")
            self._wake(sql)
        return self._job(sql, row["seq"])

    @writes
    def move(self, sql: Sql, id: str, *, priority: int | None = None, before: str | None = None) -> Job:
        if priority is not None and before is not None:
            raise ValueError("A job is given a priority or the job that it goes before, not both.")
        self._be_alone(sql)
        job = self._queued(sql, id)
        if priority is not None:
            sql.execute("UPDATE jobs SET rank = ? WHERE seq = ? AND state = 'queued'", (-priority, job["seq"]))
        elif before is not None and before != id:
            other = self._queued(sql, before)
            place = self._place_before(sql, other, job["seq"])
            sql.execute(
                "UPDATE jobs SET rank = ?, place = ? WHERE seq = ? AND state = 'queued'",
                (other["rank"], place, job["seq"]),
            )
        return self._job(sql, job["seq"])

    def _queued(self, sql: Sql, id: str) -> Row:
        row = self._row(sql, id, "j.seq, j.state, j.rank, j.place")
        if row["state"] != "queued":
            raise Conflict(f"The job {id!r} is not queued: it is {row['state']}.")
        return row

    def _place_before(self, sql: Sql, other: Row, moved: int) -> int:
        """A place right before a queued job, in the queue without the one that is moved."""
        rows = "FROM jobs WHERE state = 'queued' AND rank = ? AND seq <> ? AND (place, seq) < (?, ?)"
        values = (other["rank"], moved, other["place"], other["seq"])
        row = sql.execute(f"SELECT max(place) AS place {rows}", values).fetchone()
        if row["place"] is not None and other["place"] - row["place"] > 1:
            return int(row["place"] + other["place"]) // 2
        if row["place"] is not None:
            # No place is left between the two: those before move on, away from the younger ones.
            earlier = sql.execute(f"SELECT seq {rows} ORDER BY place DESC, seq DESC", values).fetchall()
            places = [(other["place"] - (count + 2) * _GAP, row["seq"]) for count, row in enumerate(earlier)]
            sql.executemany("UPDATE jobs SET place = ? WHERE seq = ?", places)
        return int(other["place"]) - _GAP

    @writes
    def delete(self, sql: Sql, id: str) -> builtins.list[str]:
        self._be_alone(sql)
        job = self._row(sql, id, "j.seq, j.state, j.document")
        if job["state"] not in ENDED:
            raise Conflict(f"The job {id!r} has not ended: it is {job['state']}.")
        files = {
            row["file"]
            for row in sql.execute(
                "SELECT file FROM outputs WHERE job = ? AND file IS NOT NULL"
                " UNION SELECT file FROM document_files WHERE document = ?",
                (job["seq"], job["document"]),
            ).fetchall()
        }
        sql.execute("DELETE FROM jobs WHERE seq = ?", (job["seq"],))
        sql.execute(
            "DELETE FROM documents WHERE hash = ? AND NOT EXISTS (SELECT 1 FROM jobs WHERE document = ?)",
            (job["document"], job["document"]),
        )
        return sorted(file for file in files if not self._is_named(sql, file))

    def _is_named(self, sql: Sql, file: str) -> bool:
        row = sql.execute(
            "SELECT 1 AS named FROM outputs WHERE file = ? UNION SELECT 1 FROM document_files WHERE file = ?",
            (file, file),
        ).fetchone()
        return row is not None

    @writes
    def pause(self, sql: Sql, paused: bool) -> None:
        if paused:
            sql.execute("INSERT INTO facts (name, value) VALUES (?, 'yes') ON CONFLICT DO NOTHING", (PAUSED,))
        else:
            sql.execute("DELETE FROM facts WHERE name = ?", (PAUSED,))
        self._wake(sql)

    @writes
    def sweep(self, sql: Sql, now: float) -> int:
        rows = sql.execute("DELETE FROM idempotency WHERE created <= ? RETURNING key", (now - _DAY,)).fetchall()
        return len(rows)
