"""A data folder is opened: by one server, with older, newer and damaged databases."""

from __future__ import annotations

import logging
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.server.store.conftest import NOW
from weft.server.store import backups, opening
from weft.server.store.connecting import connect
from weft.server.store.migrations import migrate
from weft.server.store.opening import FolderInUse, Opened, open_folder
from weft.server.store.protocol import NewerDatabase, StoreError, Unavailable
from weft.server.store.records import Request
from weft.server.store.schema import MIGRATIONS
from weft.server.store.sqlite import SqliteStore

HOUR = 3600.0
SECOND = ("ALTER TABLE jobs ADD COLUMN mood TEXT NOT NULL DEFAULT 'calm'", "CREATE TABLE moods (name TEXT)")
THIRD = ("UPDATE jobs SET mood = 'lively'", "DROP TABLE moods")


def opened(folder: Path) -> Opened:
    return open_folder(folder, ballast_bytes=1 << 16)


def with_jobs(folder: Path, count: int = 300, backup: float | None = None) -> Path:
    """A closed data folder with jobs, of which a backup was made; the database's file."""
    data = opened(folder)
    data.store.submit([Request(f'{{"number": {number}}}', title=str(number)) for number in range(count)], NOW)
    if backup is not None:
        data.store.backup(backup)
    data.close()
    return data.store.file


def titles(store: SqliteStore) -> set[str]:
    return {job.title for job in store.list(limit=10_000)}


def flip(file: Path, begin: int, count: int) -> None:
    data = bytearray(file.read_bytes())
    data[begin : begin + count] = bytes(byte ^ 0xFF for byte in data[begin : begin + count])
    file.write_bytes(data)


# -- one server


def test_a_second_server_is_refused_and_told_who_is_there(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from weft.server.store.opening import open_folder;"
        f"held = open_folder(Path({str(tmp_path)!r}), ballast_bytes=1); print('open', flush=True); sys.stdin.read()"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == b"open\n"
        with pytest.raises(FolderInUse, match=rf"used by another server, process {other.pid} since \d{{4}}-"):
            opened(tmp_path)
        other.send_signal(signal.SIGKILL)
    opened(tmp_path).close()


def test_a_folder_is_free_after_closing_and_after_a_failure(tmp_path: Path) -> None:
    data = opened(tmp_path)
    with pytest.raises(FolderInUse):
        opened(tmp_path)
    data.close()
    (tmp_path / "weft.sqlite").unlink()
    (tmp_path / "weft.sqlite").mkdir()
    for _ in range(2):
        with pytest.raises(Unavailable):
            opened(tmp_path)


def test_a_lock_file_says_what_it_can(tmp_path: Path) -> None:
    data = opened(tmp_path)
    for text in ("", "{", "[]", '{"process": 1}', '{"process": "x", "since": 1}', '{"process": 1, "since": 1e300}'):
        (tmp_path / "weft.lock").write_text(text)
        with pytest.raises(FolderInUse, match=r"used by another server\.$"):
            opened(tmp_path)
    data.close()


def test_jobs_outlive_the_server(tmp_path: Path) -> None:
    with_jobs(tmp_path, 3)
    data = opened(tmp_path)
    assert titles(data.store) == {"0", "1", "2"}
    assert (data.damaged, data.restored) == (None, None)
    data.close()


def test_nobody_else_reads_what_is_kept(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    file = with_jobs(folder, 3, backup=NOW)
    file.unlink()
    data = opened(folder)
    assert data.restored is not None
    data.store.submit([Request("{}")], NOW)
    files = [folder, *folder.rglob("weft*")]
    assert len(files) >= 5
    assert {path.name for path in files if path.stat().st_mode & 0o077} == set()
    data.close()


# -- older and newer ones


def migrated(file: Path, *more: tuple[str, ...]) -> int:
    connection = connect(file)
    try:
        return migrate(connection, file, file.parent / "backups", (*MIGRATIONS, *more))
    finally:
        connection.close()


def version(file: Path) -> int:
    connection = sqlite3.connect(file)
    number: int = connection.execute("PRAGMA user_version").fetchone()[0]
    connection.close()
    return number


def moods(file: Path) -> set[str]:
    connection = sqlite3.connect(file)
    found = {row[0] for row in connection.execute("SELECT mood FROM jobs")}
    assert not connection.execute("SELECT * FROM sqlite_master WHERE name = 'moods'").fetchall()
    connection.close()
    return found


def test_an_older_database_is_migrated_after_a_backup(tmp_path: Path) -> None:
    file = with_jobs(tmp_path, 3)
    assert not list(tmp_path.glob("backups/*"))
    assert migrated(file, SECOND, THIRD) == 1
    assert (version(file), moods(file)) == (3, {"lively"})
    [backup] = tmp_path.glob("backups/*")
    assert backup.name.startswith("before-migration-of-1-")
    assert version(backup) == 1
    assert migrated(file, SECOND, THIRD) == 3
    assert list(tmp_path.glob("backups/*")) == [backup]


def test_a_migration_that_fails_leaves_the_old_tables(tmp_path: Path) -> None:
    file = with_jobs(tmp_path, 3)
    with pytest.raises(sqlite3.OperationalError, match="no such table"):
        migrated(file, SECOND, (*THIRD, "UPDATE nowhere SET a = 1"))
    assert version(file) == 1
    store = SqliteStore(file)
    assert titles(store) == {"0", "1", "2"}
    store.close()


def test_a_migration_that_is_killed_anywhere_is_old_or_new(tmp_path: Path) -> None:
    file = with_jobs(tmp_path / "data", 50)
    copies: list[Path] = []

    def crash(text: str) -> None:
        folder = tmp_path / str(len(copies))
        folder.mkdir()
        copies.append(copy(file, folder))

    connection = connect(file)
    connection.execute("PRAGMA cache_size = 1")  # so that changed pages go to the log before the end
    connection.set_trace_callback(crash)
    migrate(connection, file, tmp_path, (*MIGRATIONS, SECOND, THIRD))
    crash("after the end")
    connection.close()
    versions = [version(each) for each in copies]
    assert versions == [1] * (len(copies) - 1) + [3]
    assert len(copies) > 7
    assert moods(copies[-1]) == {"lively"}
    store = SqliteStore(copies[-2])
    assert len(titles(store)) == 50
    store.close()


def copy(file: Path, folder: Path) -> Path:
    """What a crash at this moment leaves."""
    for suffix in ("", "-wal"):
        source = file.with_name(f"{file.name}{suffix}")
        if source.exists():
            shutil.copy(source, folder / source.name)
    return folder / file.name


def test_a_newer_database_is_left_as_it_is(tmp_path: Path) -> None:
    file = with_jobs(tmp_path, 3)
    connection = sqlite3.connect(file)
    connection.execute("PRAGMA user_version = 7")
    connection.close()
    before = file.read_bytes()
    for _ in range(2):
        with pytest.raises(NewerDatabase, match=r"has version 7, .* up to 1: use the Weft that wrote it"):
            opened(tmp_path)
    assert file.read_bytes() == before
    assert not list(tmp_path.glob("backups/*"))
    with pytest.raises(NewerDatabase):
        SqliteStore(file)


def test_a_database_of_another_program_is_left_as_it_is(tmp_path: Path) -> None:
    file = tmp_path / "weft.sqlite"
    connection = sqlite3.connect(file)
    connection.execute("CREATE TABLE mine (a)")
    connection.close()
    before = file.read_bytes()
    with pytest.raises(StoreError, match="another program"):
        opened(tmp_path)
    assert file.read_bytes() == before


# -- damage


@pytest.mark.parametrize("part", ["header", "pages", "end", "empty", "missing", "text"])
def test_a_damaged_database_is_moved_aside_and_its_backup_restored(
    tmp_path: Path, part: str, caplog: pytest.LogCaptureFixture
) -> None:
    file = with_jobs(tmp_path, 300, backup=NOW)
    size = file.stat().st_size
    if part == "header":
        flip(file, 0, 64)
    elif part == "pages":
        flip(file, 4096 * 3, size - 4096 * 4)
    elif part == "end":
        file.write_bytes(file.read_bytes()[: size // 2])
    elif part == "empty":
        file.write_bytes(b"")
    elif part == "text":
        file.write_bytes(b"not a database" * 1000)
    else:
        file.unlink()
    with caplog.at_level(logging.ERROR, "weft.store"):
        data = opened(tmp_path)
    assert titles(data.store) == {str(number) for number in range(300)}
    assert data.restored is not None
    assert data.restored.exists()
    if part == "missing":
        assert data.damaged is None
    else:
        assert data.damaged is not None
        assert data.damaged.exists()
        assert data.damaged.name.startswith("weft.sqlite.damaged-")
        assert str(data.damaged) in caplog.text
    assert f"the backup {data.restored.name} took its place" in caplog.text
    data.store.submit([Request("{}", title="after")], NOW)
    data.close()
    again = opened(tmp_path)
    assert (again.damaged, again.restored) == (None, None)
    assert "after" in titles(again.store)
    again.close()


def test_without_a_backup_it_begins_empty_and_says_so(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    file = with_jobs(tmp_path)
    flip(file, 0, 64)
    data = opened(tmp_path)
    assert data.restored is None
    assert data.damaged is not None
    assert titles(data.store) == set()
    assert "no sound backup, so it begins empty" in caplog.text
    data.close()


def test_the_newest_backup_is_the_one_that_was_made_last_also_when_the_clock_was_set_back(tmp_path: Path) -> None:
    file = with_jobs(tmp_path, 1)
    data = opened(tmp_path)
    for hour in range(8):
        data.store.backup(NOW + (5 + hour) * HOUR)
    for hour in range(8):  # by now they are all of another time
        data.store.submit([Request("{}", title=f"late {hour}")], NOW)
        last = data.store.backup(NOW + hour * 60.0)
        assert last.exists()
    data.close()
    file.unlink()
    for suffix in ("-wal", "-shm"):
        file.with_name(file.name + suffix).unlink(missing_ok=True)
    data = opened(tmp_path)
    assert data.restored == last
    assert "late 7" in titles(data.store)
    data.close()


def test_the_newest_sound_backup_is_taken(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    file = with_jobs(tmp_path, 10, backup=NOW)
    data = opened(tmp_path)
    data.store.submit([Request("{}", title="late")], NOW)
    late = data.store.backup(NOW + HOUR)
    latest = data.store.backup(NOW + 2 * HOUR)
    data.close()
    flip(latest, 4096, 4096)
    flip(file, 0, 64)
    data = opened(tmp_path)
    assert data.restored == late
    assert "late" in titles(data.store)
    assert f"{latest} is damaged and not used" in caplog.text
    data.close()


def test_the_log_of_a_damaged_database_does_not_get_into_its_backup(tmp_path: Path) -> None:
    data = opened(tmp_path)
    data.store.submit([Request("{}", title="kept")], NOW)
    data.store.backup(NOW)
    data.store.submit([Request("{}", title="lost")], NOW)
    crashed = tmp_path / "crashed"
    shutil.copytree(tmp_path / "backups", crashed / "backups")
    file = copy(data.store.file, crashed)
    data.close()
    assert file.with_name("weft.sqlite-wal").stat().st_size
    file.unlink()
    data = opened(crashed)
    assert titles(data.store) == {"kept"}
    assert list(crashed.glob("weft.sqlite.damaged-*-wal"))
    data.close()


def test_killed_while_healing_it_heals_the_next_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = with_jobs(tmp_path, 10, backup=NOW)
    flip(file, 0, 64)

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(backups, "restore", killed)
        with pytest.raises(KeyboardInterrupt):
            opened(tmp_path)
    data = opened(tmp_path)
    assert data.restored is not None
    assert len(titles(data.store)) == 10
    data.close()


def test_two_damages_within_a_second_are_both_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(opening.time, "gmtime", lambda: time.struct_time((2026, 1, 1, 0, 0, 0, 0, 1, 0)))
    for _ in range(3):
        (tmp_path / "weft.sqlite").write_bytes(b"not a database" * 1000)
        opened(tmp_path).close()
    assert len(list(tmp_path.glob("weft.sqlite.damaged-*"))) == 3


# -- backups


def test_a_backup_is_one_whole_file(tmp_path: Path) -> None:
    data = opened(tmp_path)
    data.store.submit([Request("{}", title="a")], NOW)
    backup = data.store.backup(NOW)
    data.store.submit([Request("{}", title="b")], NOW)
    assert [file.name for file in tmp_path.glob("backups/*")] == [backup.name]
    assert backup.name == time.strftime("weft-%Y%m%dT%H%M%SZ.sqlite", time.gmtime(NOW))
    data.close()
    store = SqliteStore(backup)
    assert titles(store) == {"a"}
    store.close()


def test_a_backup_waits_for_nobody(tmp_path: Path) -> None:
    data = opened(tmp_path)

    def meanwhile(inner: object) -> Path:
        data.store.submit([Request("{}", title="not committed")], NOW)
        return data.store.backup(NOW)

    [backup] = data.store.apply([meanwhile])
    data.close()
    store = SqliteStore(backup)
    assert titles(store) == set()
    store.close()


def test_damage_is_not_copied_over_sound_backups(tmp_path: Path) -> None:
    file = with_jobs(tmp_path, 300, backup=NOW)
    store = SqliteStore(file)
    flip(file, 4096 * 3, file.stat().st_size - 4096 * 4)
    with pytest.raises(Unavailable):
        store.backup(NOW + HOUR)
    assert len(list(tmp_path.glob("backups/*"))) == 1
    store.close()


def test_backups_are_few(tmp_path: Path) -> None:
    data = opened(tmp_path)
    (tmp_path / "backups").mkdir()
    (tmp_path / "backups" / "weft-20260101T000000Z.sqlite.part").write_bytes(b"of one that was killed")
    for hour in range(24 * 10):
        if hour % 8 == 0:
            data.store.backup(NOW + hour * HOUR)
    stamps = sorted(file.stem.removeprefix("weft-") for file in tmp_path.glob("backups/*"))
    newest = [time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(NOW + hour * HOUR)) for hour in range(192, 240, 8)]
    assert stamps[-6:] == newest
    assert len({stamp[:8] for stamp in stamps}) == 7
    assert 6 <= len(stamps) <= 13
    data.close()
