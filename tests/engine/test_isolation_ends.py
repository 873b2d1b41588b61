"""Whatever nodes leave behind ends with their worker: processes, temporary files, and what they changed around them."""

from __future__ import annotations

import fcntl
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.engine import isolated_ends
from tests.engine.test_isolation import becomes, document, is_alive
from weft.engine import Cache, RunFailed, run
from weft.engine.isolation import Workers
from weft.engine.isolation.scratch import PREFIX, Scratch, sweep

linux = pytest.mark.skipif(sys.platform != "linux", reason="only Linux gives orphans to whom asks for them")


@pytest.fixture
def workers() -> Iterator[Workers]:
    found = Workers()
    yield found
    found.close()


def go(workers: Workers, type: str, **inputs: Any) -> Any:
    nodes = document({"n": (type, inputs)})
    return run(nodes, ["n"], catalogue=isolated_ends.catalogue(), cache=Cache.none(), isolate=workers)["n"]


def offspring(log: Path) -> list[int]:
    pids = [int(line) for line in log.read_text().split()]
    assert len(pids) == 3
    return pids


# -- processes


@linux
def test_processes_of_nodes_end_when_the_worker_is_closed(workers: Workers, tmp_path: Path) -> None:
    pid = go(workers, "offspring", log=str(tmp_path / "log"))
    pids = offspring(tmp_path / "log")
    assert all(map(is_alive, [pid, *pids])), "they may serve the next run"
    workers.close()
    assert not any(map(is_alive, [pid, *pids])), "when it has been closed, and not some time later"


@linux
def test_processes_of_nodes_end_when_the_worker_crashes(workers: Workers, tmp_path: Path) -> None:
    with pytest.raises(RunFailed, match="SIGSEGV"):
        go(workers, "offspring", log=str(tmp_path / "log"), crash=True)
    assert not any(map(is_alive, offspring(tmp_path / "log")))


PARENT = """
import sys
from tests.engine import isolated_ends
from tests.engine.test_isolation_ends import go
from weft.engine.isolation import Workers
workers = Workers()
print(go(workers, "ends_pid"), flush=True)
if sys.argv[2] == "busy":
    go(workers, "offspring", log=sys.argv[1], wait=True)
go(workers, "offspring", log=sys.argv[1])
print("offspring is there", file=sys.stderr, flush=True)
sys.stdin.read()
"""


def parent(tmp_path: Path, how: str) -> tuple[subprocess.Popen[str], int]:
    """A program with a worker whose node left processes; the worker's process."""
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    program = subprocess.Popen(
        [sys.executable, "-c", PARENT, str(tmp_path / "log"), how], cwd=Path(__file__).parents[2], text=True,
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        env=os.environ | {"TMPDIR": str(temporary)},
    )  # fmt: skip
    assert program.stdout is not None
    assert program.stderr is not None
    pid = int(program.stdout.readline())
    assert any("offspring is there" in line for line in program.stderr)
    return program, pid


@linux
@pytest.mark.parametrize("how", ["busy", "idle"])
def test_nothing_outlives_a_parent_that_is_killed(tmp_path: Path, how: str) -> None:
    program, pid = parent(tmp_path, how)
    assert [path.name.startswith(PREFIX) for path in (tmp_path / "temporary").iterdir()] == [True]
    program.kill()
    program.communicate()
    assert becomes(lambda: not any(map(is_alive, [pid, *offspring(tmp_path / "log")])))
    assert becomes(lambda: not list((tmp_path / "temporary").iterdir())), "its temporary files neither"


@linux
def test_a_worker_does_not_outlive_its_guard(workers: Workers) -> None:
    pid = go(workers, "ends_pid")
    with pytest.raises(RunFailed, match="SIGKILL"):
        go(workers, "kills_guard")
    assert becomes(lambda: not is_alive(pid))
    assert go(workers, "ends_pid") != pid


@linux
def test_a_guard_that_is_stopped_does_not_keep_its_worker(workers: Workers) -> None:
    pid = go(workers, "ends_pid")
    (worker,) = workers._free
    os.kill(worker.process.pid, signal.SIGSTOP)  # type: ignore[attr-defined]
    workers.close()
    assert becomes(lambda: not is_alive(pid))


# -- temporary files


def test_temporary_files_go_with_the_worker(workers: Workers) -> None:
    folder = Path(go(workers, "temporary"))
    assert (folder / "left").exists()
    workers.close()
    assert not folder.exists()


def test_temporary_files_go_with_a_worker_that_crashes(workers: Workers) -> None:
    folder = Path(go(workers, "temporary"))
    with pytest.raises(RunFailed, match="SIGABRT"):
        go(workers, "temporary", crash=True)
    assert not folder.exists()


def test_what_the_dead_left_is_swept_and_nothing_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    dead, nobodys, other = tmp_path / f"{PREFIX}dead", tmp_path / f"{PREFIX}unknown", tmp_path / "other"
    elsewhere, link = tmp_path / "elsewhere", tmp_path / f"{PREFIX}link"
    for folder in (dead, nobodys, other, elsewhere):
        folder.mkdir()
        (folder / "left").touch()
    for folder in (dead, other, elsewhere):
        (folder / "lock").touch()
    link.symlink_to(elsewhere)
    busy = Scratch()
    assert not dead.exists()
    Scratch().remove()
    sweep(str(tmp_path))
    left = {path.name for path in tmp_path.iterdir()}
    assert left == {nobodys.name, other.name, elsewhere.name, link.name, Path(busy.folder).name}
    assert (elsewhere / "left").exists()
    busy.remove()
    assert not Path(busy.folder).exists()


def test_a_folder_is_in_use_as_long_as_the_guard_is_there(workers: Workers) -> None:
    """The parent may be dead already, and the guard still be ending what is in it."""
    folder = Path(go(workers, "temporary"))
    (worker,) = workers._free
    scratch = worker._scratch  # type: ignore[attr-defined]
    os.close(scratch.lock)
    scratch.lock = -1
    with (folder / "lock").open("r+") as file, pytest.raises(BlockingIOError):
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    workers.close()
    assert not folder.exists()


# -- what is around a node


def test_a_run_begins_as_the_worker_did(
    workers: Workers, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Also when what an earlier one left changed it after its end."""
    monkeypatch.setenv("WEFT_TEST_POLITE", "please")
    before = go(workers, "around")
    assert before[:2] == ["", "please"]
    assert before[4] == 0
    marks = {"go": str(tmp_path / "go"), "done": str(tmp_path / "done"), "folder": str(tmp_path)}
    assert go(workers, "rude", **marks) == before[5]
    Path(marks["go"]).touch()
    assert becomes(Path(marks["done"]).exists)
    assert go(workers, "around") == before
    assert "a node of an earlier run changed the environment; it is put back" in caplog.messages
