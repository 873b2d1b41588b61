"""All calls of a store in SQL, and several of them in one transaction."""

from __future__ import annotations

import builtins
from abc import abstractmethod
from collections.abc import Callable, Sequence
from typing import Any

from weft.server.store.base import Sql
from weft.server.store.changes import Changes
from weft.server.store.leases import Leases
from weft.server.store.protocol import JobStore


class SqlStore(Leases, Changes):
    """A `JobStore`; how its database is reached is said by `SqliteStore` and `PostgresStore`."""

    @abstractmethod
    def close(self) -> None:
        """Give everything back to the system."""

    def apply(self, calls: Sequence[Callable[[JobStore], Any]]) -> builtins.list[Any]:
        return self._write(lambda sql: [self._one(sql, call) for call in calls])

    def _one(self, sql: Sql, call: Callable[[JobStore], Any]) -> Any:
        """What a call returns, or what it raised after it was undone."""
        sql.execute("SAVEPOINT one")
        try:
            value = call(self)
        except Exception as error:
            if self._concerns_all(error):
                raise
            sql.execute("ROLLBACK TO SAVEPOINT one")
            value = error
        sql.execute("RELEASE SAVEPOINT one")
        return value
