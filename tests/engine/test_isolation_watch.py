"""A worker that stops or writes nonsense holds up nobody: limits of time and cancels hold, idle time does not count."""

from __future__ import annotations

import os
import queue
import signal
import socket
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.engine import isolated_ends
from tests.engine.test_isolation import Clock, becomes, document, is_alive
from weft.engine import Cache, Cancelled, CancelToken, RunFailed, run
from weft.engine.errors import NodeError, NodeTimeout
from weft.engine.isolation import Call, Isolated, Limits, Worker, Workers
from weft.engine.isolation.patient import PatientChannel
from weft.engine.isolation.references import reference
from weft.engine.isolation.wire import INLINE_BYTES, Channel, GarbledError
from weft.engine.running.executor import Done, Task

linux = pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def start(clock: Clock) -> Iterator[Callable[..., Workers]]:
    """Workers with these limits, by that clock."""
    begun: list[Workers] = []

    def start(**limits: Any) -> Workers:
        begun.append(Workers(start=lambda slot, env: Worker(Limits(**limits), slot, env, clock)))
        return begun[-1]

    yield start
    clock.goes = False
    for workers in begun:
        workers.close()


def go(workers: Workers, type: str, cancel: CancelToken | None = None, **inputs: Any) -> Any:
    nodes, catalogue = document({"n": (type, inputs)}), isolated_ends.catalogue()
    return run(nodes, ["n"], catalogue=catalogue, cache=Cache.none(), isolate=workers, cancel=cancel)["n"]


def is_stopped(pid: int) -> bool:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "T"


def worker_of(workers: Workers) -> Worker:
    (worker,) = workers._free
    assert isinstance(worker, Worker)
    return worker


# -- stopped, or in the middle of a message


@linux
@pytest.mark.parametrize("how", ["stop", "half"])
@pytest.mark.parametrize("ends", ["cancel", "node_seconds", "hang_seconds"])
def test_limits_hold_while_a_worker_stands_still(
    start: Callable[..., Workers], clock: Clock, tmp_path: Path, how: str, ends: str
) -> None:
    limits: dict[str, float] = {"grace_seconds": 0.1, "hang_seconds": 1e9, "node_seconds": 1e9}
    workers = start(**limits | ({} if ends == "cancel" else {ends: 50.0}))
    pid = go(workers, "ends_pid")
    mark = tmp_path / "mark"
    cancel = CancelToken()
    raised: list[BaseException] = []

    def disturbed() -> None:
        try:
            go(workers, "disturbs", cancel, how=how, mark=str(mark))
        except (RunFailed, Cancelled) as error:
            raised.append(error)

    thread = threading.Thread(target=disturbed)
    thread.start()
    assert becomes(lambda: mark.exists() and is_stopped(pid))
    found: list[int] = []
    other = threading.Thread(target=lambda: found.append(go(workers, "ends_pid")))
    other.start()
    other.join(60)
    assert len(found) == 1, "other runs go on"
    if ends == "cancel":
        cancel.cancel()
    else:
        clock.goes = True
    thread.join(60)
    assert not thread.is_alive()
    (error,) = raised
    if ends == "cancel":
        assert isinstance(error, Cancelled)
    else:
        assert isinstance(error, RunFailed)
        assert error.error.exception == {"node_seconds": "TimeoutError", "hang_seconds": "WorkerHung"}[ends]
    assert not is_alive(pid)


@linux
def test_garbage_on_the_line_ends_the_worker_and_says_so(start: Callable[..., Workers]) -> None:
    workers = start(hang_seconds=1e9)
    with pytest.raises(RunFailed, match="something in its worker process writes to the connection") as caught:
        go(workers, "disturbs", how="garbage")
    assert caught.value.error.node == "n"
    assert go(workers, "ends_pid") > 0


@pytest.mark.parametrize(
    "data",
    [
        b"Traceback (most recent call last)",
        b"weft" + b"\xff" * 13,
        b"weft" + (3).to_bytes(4, "little") + (1 << 40).to_bytes(8, "little") + b"\x01" + b"abc",
        b"weft" + (3).to_bytes(4, "little") + bytes(8) + b"\x00" + b"\xc1\xc1\xc1",
    ],
)
def test_what_is_no_message_is_told_from_one_without_taking_memory_for_it(data: bytes) -> None:
    ours, theirs = socket.socketpair()
    channel = Channel(ours)
    theirs.sendall(data)
    with pytest.raises(GarbledError):
        channel.receive()
    channel.close()
    theirs.close()


def test_a_long_message_of_which_little_comes_takes_little_memory() -> None:
    ours, theirs = socket.socketpair()
    channel = Channel(ours)
    theirs.sendall(b"weft" + b"\xff" * 4 + bytes(9) + b"abc")
    theirs.close()
    with pytest.raises(EOFError, match="in the middle of a message"):
        channel.receive()
    channel.close()


# -- sending


def test_sending_does_not_wait_for_a_reader_and_keeps_the_order() -> None:
    ours, theirs = socket.socketpair()
    patient, plain = PatientChannel(ours, lambda: None), Channel(theirs)
    long, short = bytes(4 << 20), b"x" * (INLINE_BYTES // 2)
    sent = threading.Thread(
        target=lambda: [
            patient.send({"number": number, "long": long}, [short * (1 + number % 4)]) for number in range(9)
        ]
    )
    sent.start()
    sent.join(60)
    assert not sent.is_alive(), "nobody has read any of it"
    for number in range(9):
        message, body = plain.receive()
        assert (message["number"], len(message["long"])) == (number, len(long))
        assert bytes(body[:]) == short * (1 + number % 4)
    patient.close()
    with pytest.raises(EOFError):
        plain.receive()
    with pytest.raises(OSError, match="nobody"):
        patient.send({})
    plain.close()


def test_what_was_not_sent_is_let_go_of() -> None:
    before = len(os.listdir("/dev/fd"))
    ours, theirs = socket.socketpair()
    patient = PatientChannel(ours, lambda: None)
    for _ in range(5):
        patient.send({"long": bytes(1 << 20)}, [bytes(2 * INLINE_BYTES)])
    patient.close()
    theirs.close()
    assert becomes(lambda: len(os.listdir("/dev/fd")) <= before)


# -- idle


def test_time_that_a_worker_was_idle_does_not_count(start: Callable[..., Workers], clock: Clock) -> None:
    workers = start(hang_seconds=30, node_seconds=40)
    pid = go(workers, "ends_pid")
    for _ in range(3):
        clock.now += 1_000_000
        assert go(workers, "ends_pid") == pid, "it has nothing to say while it has nothing to do"


@linux
def test_silence_counts_from_the_call_and_not_from_before(start: Callable[..., Workers], clock: Clock) -> None:
    """The worker is stopped, so that nothing which it says can make up for a watch that counts from too early."""
    looks: queue.SimpleQueue[float] = queue.SimpleQueue()

    def looked_at() -> float:
        looks.put(clock.now)
        return clock.now

    worker = Worker(Limits(hang_seconds=30), clock=looked_at)
    assert worker.ready()
    pid = _pid_of(worker)
    os.kill(pid, signal.SIGSTOP)
    assert becomes(lambda: is_stopped(pid))
    clock.now += 1_000_000
    ended: queue.SimpleQueue[BaseException | None] = queue.SimpleQueue()
    call = Call("n", lambda message, body: None, lambda message, body, error: ended.put(error))
    worker.call(1, call, {"do": "nothing"})

    def watched() -> None:
        while not looks.empty():
            looks.get()
        for _ in range(4):
            looks.get(timeout=60)

    watched()
    assert worker.alive
    assert ended.empty()
    clock.now += 29
    watched()
    assert worker.alive
    assert ended.empty()
    clock.now += 2
    error = ended.get(timeout=60)
    assert "no sign of life for 30 s" in str(error)
    assert not is_alive(pid)
    worker.close()


def _pid_of(worker: Worker) -> int:
    """Of the process below the guard."""
    guard = worker.process.pid
    return int(Path(f"/proc/{guard}/task/{guard}/children").read_text().split()[0])


@linux
def test_an_idle_worker_that_stands_still_is_replaced(start: Callable[..., Workers]) -> None:
    workers = start()
    pid = go(workers, "ends_pid")
    os.kill(pid, signal.SIGSTOP)
    assert becomes(lambda: is_stopped(pid))
    assert go(workers, "ends_pid") != pid
    assert becomes(lambda: not is_alive(pid))


def test_no_timer_of_a_run_reaches_into_the_next(start: Callable[..., Workers], tmp_path: Path) -> None:
    """A cancelled run whose node ended in time."""
    workers = start(grace_seconds=3600)
    pid = go(workers, "ends_pid")
    cancel = CancelToken()
    mark, release = tmp_path / "mark", tmp_path / "release"
    ended: list[type] = []

    def cancelled() -> None:
        try:
            go(workers, "waits", cancel, path=str(release), mark=str(mark))
        except Cancelled as error:
            ended.append(type(error))

    thread = threading.Thread(target=cancelled)
    thread.start()
    assert becomes(mark.exists)
    cancel.cancel()
    assert becomes(lambda: any(isinstance(item, threading.Timer) for item in threading.enumerate()))
    release.touch()
    thread.join(60)
    assert ended == [Cancelled]
    assert becomes(lambda: not any(isinstance(item, threading.Timer) for item in threading.enumerate()))
    assert go(workers, "ends_pid") == pid


# -- a limit of one's own


def submit(executor: Isolated, type: str, timeout: float | None, **inputs: Any) -> queue.SimpleQueue[Done]:
    node_type = isolated_ends.catalogue().get(type)
    assert node_type is not None
    assert reference(node_type)
    done: queue.SimpleQueue[Done] = queue.SimpleQueue()
    executor.submit(Task(7, node_type, inputs, None, timeout=timeout), done.put)
    return done


def test_a_node_over_its_own_limit_is_ended_and_the_run_has_another_worker(
    start: Callable[..., Workers], clock: Clock, tmp_path: Path
) -> None:
    workers = start(hang_seconds=1e9, node_seconds=1e9)
    executor = workers.lease()
    pid = submit(executor, "ends_pid", 2.5).get(timeout=60).value
    mark = tmp_path / "mark"
    done = submit(executor, "waits", 2.5, path=str(tmp_path / "never"), mark=str(mark))
    assert becomes(mark.exists)
    assert is_alive(pid)
    clock.goes = True
    error = done.get(timeout=60).error
    clock.goes = False
    assert isinstance(error, NodeTimeout)
    assert error.seconds == 2.5
    shown = NodeError.of("n", "waits", error)
    assert (shown.exception, shown.message) == ("NodeTimeout", "it took longer than its limit of 2.5 seconds")
    assert not is_alive(pid)
    after = submit(executor, "ends_pid", 2.5).get(timeout=60)
    assert after.error is None
    assert after.value != pid
    executor.close()
    assert worker_of(workers).alive


def test_a_limit_of_one_node_is_not_that_of_another(
    start: Callable[..., Workers], clock: Clock, tmp_path: Path
) -> None:
    workers = start(hang_seconds=1e9)
    executor = workers.lease()
    release, mark = tmp_path / "release", tmp_path / "mark"
    long = submit(executor, "waits", None, path=str(release), mark=str(mark))
    assert becomes(mark.exists)
    clock.now += 1_000_000
    assert submit(executor, "ends_pid", 1.0).get(timeout=60).error is None
    release.touch()
    assert long.get(timeout=60).error is None
    executor.close()
