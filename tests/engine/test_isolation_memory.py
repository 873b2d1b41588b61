"""A worker's limit of memory: refused where it is asked for, counted where it cannot be refused."""

from __future__ import annotations

import errno
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.engine import isolated_ends
from tests.engine.test_isolation import becomes, document, is_alive
from weft.engine import Cache, RunFailed, run
from weft.engine.isolation import Limits, Workers
from weft.engine.isolation.memory import is_refusal

pytestmark = pytest.mark.skipif(
    sys.platform != "linux", reason="other systems refuse no memory, and do not say how much"
)

LIMIT = 700 << 20


@pytest.fixture
def workers() -> Iterator[Workers]:
    found = Workers(Limits(memory_bytes=LIMIT))
    yield found
    found.close()


def go(workers: Workers, type: str, **inputs: Any) -> Any:
    nodes = document({"n": (type, inputs)})
    return run(nodes, ["n"], catalogue=isolated_ends.catalogue(), cache=Cache.none(), isolate=workers)["n"]


@pytest.mark.parametrize("how", ["bytes", "numpy", "torch"])
def test_one_call_does_not_get_more_than_is_allowed(workers: Workers, how: str) -> None:
    """Asking alone is enough: nobody has to look at the right moment."""
    pid = go(workers, "ends_pid")
    with pytest.raises(RunFailed, match="over the memory limit of 700 MiB") as caught:
        go(workers, "grab", how=how)
    error = caught.value.error
    assert (error.node, error.exception) == ("n", "MemoryError")
    assert "in grab" in error.traceback
    assert not is_alive(pid), "what it holds may be what took the memory"
    assert go(workers, "ends_pid") != pid


def test_a_node_may_cope_with_being_refused(workers: Workers) -> None:
    pid = go(workers, "ends_pid")
    assert go(workers, "grab", how="bytes", catches=True) == "was refused"
    assert go(workers, "ends_pid") == pid


def test_without_a_limit_nothing_is_refused_and_a_limit_may_change_between_runs(workers: Workers) -> None:
    pid = go(workers, "ends_pid")
    (worker,) = workers._free
    for limit in (None, 6 << 30):
        worker.limits = Limits(memory_bytes=limit)  # type: ignore[attr-defined]
        assert go(workers, "grab", how="numpy", catches=True) == str((1 << 29,))
    worker.limits = Limits(memory_bytes=LIMIT)  # type: ignore[attr-defined]
    assert go(workers, "grab", how="numpy", catches=True) == "was refused"
    assert go(workers, "ends_pid") == pid


def test_what_was_held_before_a_call_is_not_its_doing(workers: Workers) -> None:
    """The last figure of an earlier run, in which nobody looked at it in time."""
    pid = go(workers, "ends_pid")
    (worker,) = workers._free
    worker.received({"say": "beat", "bytes": 1 << 40}, bytearray())
    assert go(workers, "ends_pid") == pid


def test_processes_that_a_node_started_count_with_it(tmp_path: Path) -> None:
    """Each of them is below the limit, all are above."""
    workers = Workers(Limits(memory_bytes=300 << 20))
    with pytest.raises(RunFailed, match="over the memory limit of 300 MiB: its worker process, with those") as caught:
        go(workers, "brood", log=str(tmp_path / "log"))
    assert caught.value.error.exception == "MemoryError"
    pids = [int(line) for line in (tmp_path / "log").read_text().split()]
    assert len(pids) == 3
    assert not any(map(is_alive, pids))
    workers.close()


def test_other_runs_go_on_meanwhile(workers: Workers, tmp_path: Path) -> None:
    found: list[int] = []
    release, begun = tmp_path / "release", tmp_path / "begun"
    other = threading.Thread(target=lambda: found.append(go(workers, "waits", path=str(release), mark=str(begun))))
    other.start()
    assert becomes(begun.exists)
    with pytest.raises(RunFailed, match="over the memory limit"):
        go(workers, "grab", how="bytes")
    release.touch()
    other.join()
    assert len(found) == 1


@pytest.mark.parametrize(
    ("error", "refused"),
    [
        (MemoryError(), True),
        (OSError(errno.ENOMEM, "Cannot allocate memory"), True),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 2147483648 bytes."), True),
        (RuntimeError("std::bad_alloc"), True),
        (RuntimeError("shapes do not match"), False),
        (OSError(errno.ENOSPC, "No space left on device"), False),
        (ValueError("cannot allocate memory"), False),
    ],
)
def test_what_counts_as_refused(error: Exception, refused: bool) -> None:
    assert is_refusal(error) is refused
