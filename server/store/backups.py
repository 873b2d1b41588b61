"""Copies of the database: written whole, looked through before they count, and not too many of them."""

from __future__ import annotations

import calendar
import contextlib
import logging
import os
import shutil
import sqlite3
import time
from pathlib import Path

from weft.server.store.connecting import connect_to_look, faults, make_private
from weft.server.store.protocol import Unavailable

log = logging.getLogger("weft.store")

REGULAR = "weft-"
BEFORE = "before-migration-of-"
"""How the names begin of backups that are made by the hour, and before the tables change."""
_SUFFIX = ".sqlite"
_STAMP = "%Y%m%dT%H%M%SZ"
_LATEST, _DAYS, _MIGRATIONS = 6, 7, 3


def write(file: Path, folder: Path, now: float, *, prefix: str = REGULAR) -> Path:
    """Copy a database, which may be written to meanwhile, and remove older copies; returns the new one.

    Raises:
        Unavailable: the copy is not sound, so the database is not. Older copies all stay.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    copy = folder / f"{prefix}{_next_stamp(folder, now)}{_SUFFIX}"
    part = copy.with_name(f"{copy.name}.part")
    try:
        make_private(part)
        with contextlib.closing(connect_to_look(file)) as source, contextlib.closing(sqlite3.connect(part)) as target:
            source.backup(target)
            # A copy that is one file, whatever is beside it.
            target.execute("PRAGMA journal_mode = DELETE")
            found = faults(target)
        if found:
            raise Unavailable(f"The database {file} is damaged, so no backup of it was kept: {found[0]}.")
        place(part, copy)
    finally:
        for rest in (part, part.with_name(f"{part.name}-journal")):
            with contextlib.suppress(OSError):
                rest.unlink()
    _rotate(folder)
    return copy


def place(part: Path, file: Path) -> None:
    """Give a file that is written its name, such that both outlast a loss of power."""
    with open(part, "rb") as written:
        os.fsync(written.fileno())
    part.replace(file)
    folder = os.open(file.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def newest_first(folder: Path) -> list[Path]:
    """All backups in a folder."""
    files = [*folder.glob(f"{REGULAR}*{_SUFFIX}"), *folder.glob(f"{BEFORE}*{_SUFFIX}")]
    return sorted(files, key=_stamp, reverse=True)


def restore(file: Path, folder: Path) -> Path | None:
    """Put the newest sound backup in the place of a database that is not there; None where there is none."""
    for backup in newest_first(folder):
        try:
            with contextlib.closing(connect_to_look(backup, immutable=True)) as connection:
                found = faults(connection)
        except sqlite3.Error as error:
            found = [str(error)]
        if found:
            log.error("The backup %s is damaged and not used: %s", backup, found[0])
            continue
        part = file.with_name(f"{file.name}.part")
        make_private(part)
        shutil.copyfile(backup, part)
        place(part, file)
        return backup
    return None


def _next_stamp(folder: Path, now: float) -> str:
    """The time for a name. Where the clock was set back it is the second after the latest name: the newest copy is the
    one to be restored, and must not be taken for an old one that may go."""
    stamp = time.strftime(_STAMP, time.gmtime(now))
    for latest in map(_stamp, newest_first(folder)[:1]):
        if latest > stamp:
            with contextlib.suppress(ValueError, OverflowError):
                return time.strftime(_STAMP, time.gmtime(calendar.timegm(time.strptime(latest, _STAMP)) + 1))
    return stamp


def _stamp(file: Path) -> str:
    return file.name.removesuffix(_SUFFIX).rpartition("-")[2]


def _rotate(folder: Path) -> None:
    """Keep the latest ones, the last one of each of the days before, and a few from before migrations; no parts."""
    regular = [file for file in newest_first(folder) if file.name.startswith(REGULAR)]
    days: dict[str, Path] = {}
    for file in regular:
        days.setdefault(_stamp(file).partition("T")[0], file)
    wanted = {*regular[:_LATEST], *list(days.values())[:_DAYS]}
    migrations = [file for file in newest_first(folder) if file.name.startswith(BEFORE)]
    # Whoever wrote a part was killed: there is one server, and its backup has its name by now.
    parts = folder.glob(f"*{_SUFFIX}.part*")
    for file in (*(file for file in regular if file not in wanted), *migrations[_MIGRATIONS:], *parts):
        with contextlib.suppress(OSError):
            file.unlink()
