from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from weft.engine import filehash
from weft.engine.filehash import content_hash, folder_hash


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Paths whose content was read."""
    read: list[str] = []
    original = filehash._hash
    monkeypatch.setattr(filehash, "_hash", lambda path: read.append(path) or original(path))
    monkeypatch.setattr(filehash, "_memory", {})
    return read


@pytest.fixture(autouse=True)
def later(monkeypatch: pytest.MonkeyPatch) -> None:
    """Everything that was written was written a while ago."""
    monkeypatch.setattr(filehash, "_now_ns", lambda: time.time_ns() + 10**10)


def age(path: Path) -> None:
    """Set the time of the last change into the past."""
    then = time.time_ns() - 10**12
    os.utime(path, ns=(then, then))


def test_an_untouched_file_is_read_once(tmp_path: Path, reads: list[str]) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"one")
    age(path)
    first = content_hash(path)
    assert content_hash(path) == first
    assert len(reads) == 1


def test_a_file_changed_in_the_same_tick_is_seen(
    tmp_path: Path, reads: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(filehash, "_now_ns", time.time_ns)
    path = tmp_path / "a"
    path.write_bytes(b"one")
    stat = path.stat()
    first = content_hash(path)
    path.write_bytes(b"two")
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    assert content_hash(path) != first


def test_a_file_put_in_its_place_with_the_same_time_is_seen(tmp_path: Path, reads: list[str]) -> None:
    path, other = tmp_path / "a", tmp_path / "b"
    path.write_bytes(b"one")
    age(path)
    first, stat = content_hash(path), path.stat()
    other.write_bytes(b"two")
    os.utime(other, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    os.replace(other, path)
    assert content_hash(path) != first


@pytest.mark.parametrize("size", [3, 5 << 20])
def test_a_file_overwritten_in_place_with_its_old_times_is_seen(
    size: int, tmp_path: Path, reads: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """As `cp -p` and `rsync --inplace -t` do."""
    monkeypatch.setattr(filehash, "_store", tmp_path / "cache" / "files.sqlite")
    path = tmp_path / "a"
    path.write_bytes(b"a" * size)
    age(path)
    first, stat = content_hash(path), path.stat()
    while True:  # until the clock of the file system has moved on
        path.write_bytes(b"b" * size)
        os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))
        if path.stat().st_ctime_ns != stat.st_ctime_ns:
            break
    second = content_hash(path)
    assert second != first
    monkeypatch.setattr(filehash, "_memory", {})
    assert content_hash(path) == second


def test_touching_does_not_change_the_hash(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"one")
    first = content_hash(path)
    age(path)
    assert content_hash(path) == first


def test_large_files_are_remembered_for_the_next_process(
    tmp_path: Path, reads: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(filehash, "_store", tmp_path / "cache" / "files.sqlite")
    path = tmp_path / "a"
    path.write_bytes(bytes(5 << 20))
    age(path)
    first = content_hash(path)
    monkeypatch.setattr(filehash, "_memory", {})
    assert content_hash(path) == first
    assert len(reads) == 1
    (tmp_path / "cache" / "files.sqlite").write_bytes(b"no database")
    monkeypatch.setattr(filehash, "_memory", {})
    assert content_hash(path) == first, "a damaged memory only costs time"
    assert len(reads) == 2


def test_a_folders_hash_covers_names_and_contents(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "a.py").write_text("a")
    (tmp_path / "sub" / "b.py").write_text("b")
    first = folder_hash(tmp_path, (".py",))
    (tmp_path / "note.txt").write_text("other")
    (tmp_path / ".hidden.py").write_text("other")
    assert folder_hash(tmp_path, (".py",)) == first
    (tmp_path / "sub" / "b.py").write_text("c")
    assert folder_hash(tmp_path, (".py",)) != first
    (tmp_path / "sub" / "b.py").write_text("b")
    assert folder_hash(tmp_path, (".py",)) == first
    (tmp_path / "sub" / "b.py").rename(tmp_path / "sub" / "d.py")
    assert folder_hash(tmp_path, (".py",)) != first
