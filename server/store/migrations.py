"""From the tables of an older version to those of this one: all steps in one transaction, after a backup."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Sequence
from pathlib import Path

from weft.server.store import backups
from weft.server.store.connecting import connect_to_look
from weft.server.store.protocol import NewerDatabase, StoreError
from weft.server.store.schema import MIGRATIONS

APPLICATION = 0x57656674
"""Says in the head of the file whose it is: "Weft"."""


def check_version(file: Path, migrations: Sequence[Sequence[str]] = MIGRATIONS) -> None:
    """Look at a database without changing it.

    Raises:
        NewerDatabase: its version is higher than ours.
        StoreError: another program made it.
    """
    if not file.exists():
        return
    connection = connect_to_look(file)
    try:
        version = connection.execute("PRAGMA user_version").fetchone()[0]
        application = connection.execute("PRAGMA application_id").fetchone()[0]
        tables = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
    finally:
        connection.close()
    if tables and application != APPLICATION:
        raise StoreError(f"{file} is a database of another program. It was left as it is.")
    if version > len(migrations):
        raise NewerDatabase(
            f"{file} has version {version}, and this Weft knows versions up to {len(migrations)}: use the Weft that"
            " wrote it, or a newer one. The file was left as it is."
        )


def migrate(
    connection: sqlite3.Connection,
    file: Path,
    backup_folder: Path,
    migrations: Sequence[Sequence[str]] = MIGRATIONS,
) -> int:
    """Bring the tables to the newest version; returns that of before. Whatever happens they are the old ones or the
    new ones.

    Args:
        backup_folder: gets a copy of a database that has tables, before they change.
    """
    version: int = connection.execute("PRAGMA user_version").fetchone()[0]
    if version == len(migrations):
        return version
    if version:
        backups.write(file, backup_folder, time.time(), prefix=f"{backups.BEFORE}{version}-")
    connection.execute("BEGIN IMMEDIATE")
    try:
        for statements in migrations[version:]:
            for statement in statements:
                connection.execute(statement)
        connection.execute(f"PRAGMA application_id = {APPLICATION}")
        connection.execute(f"PRAGMA user_version = {len(migrations)}")
        connection.execute("COMMIT")
    finally:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
    return version
