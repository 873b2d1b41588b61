"""The calls that change nothing."""

from __future__ import annotations

import builtins
from collections.abc import Mapping
from typing import Any, get_args

from weft.server.store.base import Sql, SqlBase, reads
from weft.server.store.records import ENDED, Job, State
from weft.server.store.rows import JOB

PAUSED = "paused"
# In words and not as a value, so that a partial index can be used.
_IN_STATE: Mapping[State, str] = {
    state: f"j.state = '{state}'{' AND j.finished IS NOT NULL' if state in ENDED else ''}" for state in get_args(State)
}


class Lookups(SqlBase):
    """What clients and the server look at."""

    @reads
    def get(self, sql: Sql, id: str) -> Job:
        return self._jobs(sql, [self._row(sql, id, JOB)])[0]

    @reads
    def document(self, sql: Sql, id: str) -> str:
        hash = self._row(sql, id, "j.document")["document"]
        text: str = sql.execute("SELECT text FROM documents WHERE hash = ?", (hash,)).fetchone()["text"]
        return text

    @reads
    def list(
        self,
        sql: Sql,
        *,
        state: State | None = None,
        tag: str | None = None,
        limit: int = 50,
        before: str | None = None,
    ) -> builtins.list[Job]:
        id = "j.id" if tag is None else "t.id"
        wanted: builtins.list[tuple[str, Any]] = []
        if tag is not None:
            wanted.append(("t.tag = ?", tag))
        if before is not None:
            wanted.append((f"{id} < ?", before))
        if state is not None:
            wanted.append((_IN_STATE[state], None))
        source = "jobs AS j" if tag is None else "tags AS t JOIN jobs AS j ON j.seq = t.job"
        where = f"WHERE {' AND '.join(text for text, _ in wanted)}" if wanted else ""
        values = [*(value for _, value in wanted if value is not None), _number(limit)]
        rows = sql.execute(f"SELECT {JOB} FROM {source} {where} ORDER BY {id} DESC LIMIT ?", values).fetchall()
        return self._jobs(sql, rows)

    @reads
    def events(self, sql: Sql, id: str, since: int = 0, limit: int = 1_000) -> builtins.list[str]:
        seq = self._row(sql, id, "j.seq")["seq"]
        rows = sql.execute(
            "SELECT text FROM events WHERE job = ? AND number >= ? ORDER BY number LIMIT ?",
            (seq, _number(since), _number(limit)),
        ).fetchall()
        return [row["text"] for row in rows]

    @reads
    def cancelling(self, sql: Sql, owner: str) -> builtins.list[str]:
        rows = sql.execute(
            "SELECT id FROM jobs WHERE state = 'running' AND owner = ? AND cancelling = 1 ORDER BY id", (owner,)
        ).fetchall()
        return [row["id"] for row in rows]

    @reads
    def counts(self, sql: Sql) -> dict[State, int]:
        rows = sql.execute(
            "SELECT state, count(*) AS jobs FROM jobs WHERE finished IS NOT NULL GROUP BY state"
            " UNION ALL SELECT 'queued', count(*) FROM jobs WHERE state = 'queued'"
            " UNION ALL SELECT 'running', count(*) FROM jobs WHERE state = 'running'"
        ).fetchall()
        found = {row["state"]: row["jobs"] for row in rows}
        return {state: found.get(state, 0) for state in get_args(State)}

    @reads
    def oldest_queued(self, sql: Sql) -> float | None:
        row = sql.execute("SELECT min(created) AS oldest FROM jobs WHERE state = 'queued'").fetchone()
        oldest: float | None = row["oldest"]
        return oldest

    @reads
    def named_files(self, sql: Sql) -> set[str]:
        rows = sql.execute(
            "SELECT file FROM document_files UNION SELECT file FROM outputs WHERE file IS NOT NULL"
        ).fetchall()
        return {row["file"] for row in rows}

    @reads
    def paused(self, sql: Sql) -> bool:
        return sql.execute("SELECT value FROM facts WHERE name = ?", (PAUSED,)).fetchone() is not None


def _number(wanted: int) -> int:
    """A count that the database understands, whatever a client asks for."""
    return min(max(0, wanted), 1 << 62)
