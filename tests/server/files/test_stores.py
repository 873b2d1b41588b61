"""What holds for each store of files, and what the folder's does when the disk, a neighbour or a crash interferes."""

from __future__ import annotations

import errno
import hashlib
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from tests.server.files.conftest import Clock
from tests.server.payloads import TRAVERSALS
from weft.engine.declaring.file_store import place_of, set_file_store, stored_file
from weft.server.files import blobs, local
from weft.server.files.blobs import BlobStore, bring, put, put_path
from weft.server.files.errors import NoSpace, NoSuchFile, TooLarge
from weft.server.files.local import LocalFiles
from weft.server.files.remote import FsspecFiles, StoreFails

Names = Callable[[], set[str]]
ROOT = Path(__file__).parents[3]


def id_of(data: bytes) -> str:
    return "sha256:" + hashlib.sha256(data).hexdigest()


def read(store: BlobStore, id: str) -> bytes:
    with store.open(id) as file:
        return file.read()


def test_what_is_put_is_found_by_its_hash(store: BlobStore, clock: Clock) -> None:
    for data in (b"", b"one", bytes(3_000_000)):
        id = put(store, data)
        assert (id, read(store, id), store.size(id)) == (id_of(data), data, len(data))
    assert put(store, iter([b"o", b"", b"ne"])) == id_of(b"one")
    assert {(stored.id, stored.bytes) for stored in store.list()} == {
        (id_of(b""), 0),
        (id_of(b"one"), 3),
        (id_of(bytes(3_000_000)), 3_000_000),
    }
    assert {stored.modified for stored in store.list()} == {clock.now}
    assert store.remove(id_of(b"one"))
    assert not store.remove(id_of(b"one"))
    assert len(list(store.list())) == 2


@pytest.mark.parametrize("take", ["open", "size", "remove", "reserve"])
def test_no_other_name_reaches_anything(store: BlobStore, tmp_path: Path, names: Names, take: str) -> None:
    (tmp_path / "secret").write_text("secret")
    before = names()
    assert len(TRAVERSALS) >= 60
    for name in TRAVERSALS:
        with pytest.raises(NoSuchFile) as refused:
            getattr(store, take)(name, *([60.0] if take == "reserve" else []))
        assert str(tmp_path) not in str(refused.value), name
        assert "Permission" not in str(refused.value)
    assert (names(), (tmp_path / "secret").read_text()) == (before, "secret")
    for find in (store.open, store.size):
        with pytest.raises(NoSuchFile):
            find(id_of(b"nothing"))
    assert not store.remove(id_of(b"nothing"))
    assert not store.reserve(id_of(b"nothing"), 60.0)


def test_a_reservation_holds_until_it_is_over_and_never_gets_shorter(store: BlobStore, clock: Clock) -> None:
    id = put(store, b"one")
    assert store.reserve(id, 100)
    assert store.reserve(id, 10)
    clock.now += 99
    assert not store.remove(id, now=clock.now)
    store.tidy(clock.now)
    assert not store.remove(id, now=clock.now)
    clock.now += 2
    assert not store.remove(id, now=clock.now, age=200)
    assert store.remove(id, now=clock.now)
    assert not store.reserve(id, 100), "there is nothing to reserve"


def test_a_draft_that_is_not_kept_leaves_nothing(local: LocalFiles, far: FsspecFiles, names: Names) -> None:
    def broken(store: BlobStore, error: type[BaseException], max_bytes: int | None = None) -> None:
        with store.draft(max_bytes) as draft:
            draft.write(b"abc")
            draft.write(b"d")
            raise error

    before = names()
    for store in (local, far):
        with pytest.raises(TooLarge):
            broken(store, AssertionError, max_bytes=3)
        with pytest.raises(KeyboardInterrupt):
            broken(store, KeyboardInterrupt)
        assert list(store.list()) == []
    assert names() == before


@pytest.mark.parametrize("kind", ["local", "far"])
def test_the_same_content_at_once_is_one_file(kind: str, request: pytest.FixtureRequest) -> None:
    store: BlobStore = request.getfixturevalue(kind)
    data = os.urandom(200_000)
    barrier = threading.Barrier(8)

    def pieces() -> Iterator[bytes]:
        yield data[:100]
        barrier.wait()
        yield data[100:]

    with ThreadPoolExecutor(8) as pool:
        ids = set(pool.map(lambda _: put(store, pieces()), range(8)))
    assert ids == {id_of(data)}
    assert [stored.bytes for stored in store.list()] == [len(data)]
    assert read(store, id_of(data)) == data


def test_files_of_the_engine_are_those_of_the_store(local: LocalFiles, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WEFT_FILES", "")
    set_file_store(local.folder)
    assert stored_file(put(local, b"one")).read_bytes() == b"one"


def test_a_file_cannot_be_written_to(local: LocalFiles) -> None:
    path = place_of(local.folder, put(local, b"one"))
    assert path.stat().st_mode & 0o777 == 0o400


def test_putting_it_again_mends_a_damaged_file(local: LocalFiles) -> None:
    path = place_of(local.folder, put(local, b"one"))
    path.chmod(0o600)
    path.write_bytes(b"o")
    put(local, b"one")
    assert path.read_bytes() == b"one"


def test_links_in_the_folder_are_not_followed(local: LocalFiles, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("secret")
    (tmp_path / "elsewhere").mkdir()
    file, folder, pipe = id_of(b"file"), id_of(b"folder"), id_of(b"pipe")
    for id in (file, pipe):
        place_of(local.folder, id).parent.mkdir()
    place_of(local.folder, file).symlink_to(tmp_path / "secret")
    place_of(local.folder, folder).parent.symlink_to(tmp_path / "elsewhere")
    (tmp_path / "elsewhere" / place_of(local.folder, folder).name).write_text("secret")
    os.mkfifo(place_of(local.folder, pipe))
    for id in (file, folder, pipe):
        with pytest.raises(NoSuchFile):
            local.open(id)
        with pytest.raises(NoSuchFile):
            local.size(id)
        assert not local.remove(id)
    assert list(local.list()) == []
    with pytest.raises(NoSuchFile, match="a link is in its place"):
        put(local, b"folder")
    assert [path.name for path in (tmp_path / "elsewhere").iterdir()] == [place_of(local.folder, folder).name]
    assert read(local, put(local, b"file")) == b"file"
    assert (tmp_path / "secret").read_text() == "secret"


def test_a_file_of_this_machine_is_copied(local: LocalFiles, tmp_path: Path) -> None:
    made = tmp_path / "made.png"
    made.write_bytes(b"picture")
    id = put_path(local, made)
    made.write_bytes(b"changed in place")
    assert read(local, id) == b"picture"
    (tmp_path / "link.png").symlink_to(made)
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "link.png", tmp_path, tmp_path / "gone", tmp_path / "pipe"):
        with pytest.raises(NoSuchFile) as refused:
            put_path(local, path)
        assert str(tmp_path) not in str(refused.value)


def test_a_full_disk_leaves_nothing_and_what_was_there(
    local: LocalFiles, monkeypatch: pytest.MonkeyPatch, names: Names
) -> None:
    old = put(local, b"old")
    before = names()

    def full(*_: Any, **__: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    for module, name in ((blobs.os, "fsync"), (blobs.os, "fchmod"), (blobs.os, "open")):
        with monkeypatch.context() as patch:
            patch.setattr(module, name, full)
            with pytest.raises(NoSpace):
                put(local, b"new")
        assert names() == before
    assert read(local, old) == b"old"
    put(local, b"new")


def test_a_write_that_the_system_refuses_leaves_nothing(tmp_path: Path) -> None:
    """Half-way, by a limit on what a process may write to one file."""
    code = """
import resource, signal, sys
from pathlib import Path
from weft.server.files.blobs import put
from weft.server.files.local import LocalFiles
store = LocalFiles(sys.argv[1], min_free=0)
put(store, b"old")
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
try:
    put(store, bytes(300_000))
except OSError as error:
    print(error.errno)
print([stored.bytes for stored in store.list()], [p.name for p in (Path(sys.argv[1]) / ".drafts").iterdir()])
"""
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "files")], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout.split("\n")[:2] == [str(errno.EFBIG), "[3] []"]


def test_room_is_asked_for_before_anything_is_accepted(
    local: LocalFiles, monkeypatch: pytest.MonkeyPatch, clock: Clock
) -> None:
    usage = type("Usage", (), {"free": 600 << 20})
    monkeypatch.setattr(shutil_of(local), "disk_usage", lambda _: usage)
    careful = LocalFiles(local.folder, clock=clock)
    id = put(careful, b"one")
    usage.free = 511 << 20
    with pytest.raises(NoSpace, match="511 MiB left; 512 stay free"):
        put(careful, b"two")
    with pytest.raises(NoSpace):
        careful.check_room(1)
    assert (read(careful, id), [stored.id for stored in careful.list()]) == (b"one", [id])


def shutil_of(_: LocalFiles) -> Any:
    return local.shutil


def test_a_quota_counts_what_is_there_and_what_goes(tmp_path: Path) -> None:
    put(LocalFiles(tmp_path, min_free=0), bytes(600))
    store = LocalFiles(tmp_path, max_bytes=1000, min_free=0)
    put(store, bytes(300))
    put(store, bytes(300))
    with pytest.raises(NoSpace, match="Files take 900 bytes and may take 1,000"):
        put(store, bytes(101))
    put(store, bytes(100))
    with pytest.raises(NoSpace):
        put(store, b"x")
    assert sum(stored.bytes for stored in store.list()) == 1000
    store.remove(id_of(bytes(600)))
    put(store, bytes(599))
    LocalFiles(tmp_path, min_free=0).remove(id_of(bytes(599)))
    with pytest.raises(NoSpace):
        put(store, bytes(598))
    store.tidy(0.0)
    put(store, bytes(598))


def test_another_process_waits_for_its_turn(local: LocalFiles) -> None:
    """Two servers, or a server and a worker, on one folder."""
    id = put(local, b"one")
    code = """
import sys
from weft.server.files.local import LocalFiles
store = LocalFiles(sys.argv[1], min_free=0)
print("ready", flush=True)
sys.stdin.readline()
print(store.remove(sys.argv[2], now=0.0), flush=True)
"""
    command = [sys.executable, "-c", code, str(local.folder), id]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdin is not None
        assert other.stdout is not None
        assert other.stdout.readline() == "ready\n"
        with local._locked():
            other.stdin.write("go\n")
            other.stdin.flush()
            with pytest.raises(subprocess.TimeoutExpired):
                other.wait(0.3)
            local._write_reservation(id, 60.0)
        assert other.stdout.readline() == "False\n", "it sees what was reserved before its turn"
    assert read(local, id) == b"one"


def test_what_a_crash_left_goes_after_an_hour(local: LocalFiles, clock: Clock) -> None:
    with local.draft() as arriving:
        arriving.write(b"a clock may jump")
        local.tidy(clock.now + 10**9)
        assert local.open(local.keep(arriving)).read() == b"a clock may jump"
    draft = local.folder / ".drafts" / "0123"
    draft.write_bytes(b"half")
    os.utime(draft, (clock.now, clock.now))
    local.tidy(clock.now + 3500)
    assert draft.exists(), "it may still be arriving"
    local.tidy(clock.now + 3700)
    assert not draft.exists()


def test_a_store_far_away_that_fails_says_so_without_its_secrets(
    far: FsspecFiles, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise RuntimeError("key=hunter2 at host.example")

    monkeypatch.setattr(far._system, "put_file", fail)
    with pytest.raises(StoreFails) as failure:
        put(far, b"one")
    assert "hunter2" not in str(failure.value)
    assert list(far.list()) == []


def test_files_come_from_afar_for_nodes_to_read(far: FsspecFiles, local: LocalFiles) -> None:
    id = put(far, b"one")
    bring(id, far, local, reserve=60)
    bring(id, far, local, reserve=60)
    assert read(local, id) == b"one"
    far._system.pipe_file(far._path(id), b"two")
    local.remove(id)
    with pytest.raises(NoSuchFile, match="damaged where it is stored"):
        bring(id, far, local)
    assert list(local.list()) == []
