"""How many workers there are, who has which, and who waits."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pytest

from tests.engine import isolated
from tests.engine.test_isolation import document, link
from weft.engine import Cache, Cancelled, CancelToken, RunFailed, run
from weft.engine.events import Event
from weft.engine.isolation import Limits, Transport, Workers


class Silent(Transport):
    """A worker that is there and answers, and does nothing else."""

    def __init__(self, slot: int = 0, env: Mapping[str, str] | None = None) -> None:
        super().__init__(slot)
        self.env = env

    def send(self, message: dict[str, Any], body: Sequence[Any] = ()) -> None:
        if not self.alive:
            raise OSError("gone")
        if message["do"] == "ping":
            self.received({"say": "pong"}, bytearray())

    def close(self) -> None:
        self.end()


class Counted:
    """Starts such workers and counts those that are there."""

    def __init__(self) -> None:
        self.started: list[Silent] = []

    def __call__(self, slot: int, env: Mapping[str, str]) -> Silent:
        self.started.append(Silent(slot, env))
        return self.started[-1]

    @property
    def alive(self) -> list[int]:
        return sorted(worker.slot for worker in self.started if worker.alive)


@pytest.fixture
def start() -> Counted:
    return Counted()


def worker_of(lease: Any) -> Silent:
    (worker,) = lease._workers
    assert isinstance(worker, Silent)
    return worker


def waits(workers: Workers, count: int = 1) -> None:
    """Until so many runs wait for a worker."""
    while len(workers._waiting) < count:
        pass


class Leasing(threading.Thread):
    """A run that asks for a worker."""

    def __init__(self, workers: Workers, cancel: CancelToken | None = None, cache: Cache | None = None) -> None:
        super().__init__(daemon=True)
        self.workers = workers
        self.cancel = cancel
        self.cache = cache
        self.result: Any = None
        self.start()

    def run(self) -> None:
        try:
            self.result = self.workers.lease(self.cache, self.cancel)
        except BaseException as error:
            self.result = error

    def end(self) -> Any:
        self.join(10)
        assert not self.is_alive()
        return self.result


def test_there_are_never_more_than_there_may_be(start: Counted) -> None:
    workers = Workers(size=2, start=start)
    first, second = workers.lease(), workers.lease()
    assert start.alive == [0, 1]
    later = [Leasing(workers) for _ in range(3)]
    waits(workers, 3)
    assert len(start.started) == 2
    for lease in (first, second):
        lease.close()
    for thread in later:
        thread.end().close()
    assert len(start.started) == 2, "those that were given back were used again"
    assert (len(workers._free), start.alive) == (2, [0, 1])
    workers.close()
    assert start.alive == []


def test_who_asked_first_is_first(start: Counted) -> None:
    workers = Workers(size=1, start=start)
    lease = workers.lease()
    threads = []
    for count in range(1, 4):
        threads.append(Leasing(workers))
        waits(workers, count)
    for thread in threads:
        lease.close()
        lease = thread.end()
    lease.close()


def test_a_cancel_ends_the_waiting(start: Counted) -> None:
    workers, cancel = Workers(size=1, start=start), CancelToken()
    lease = workers.lease()
    thread = Leasing(workers, cancel)
    waits(workers)
    cancel.cancel()
    assert isinstance(thread.end(), Cancelled)
    lease.close()
    workers.lease().close()
    assert len(start.started) == 1


def test_a_run_that_is_cancelled_while_it_waits_says_so(start: Counted) -> None:
    workers, cancel = Workers(size=1, start=start), CancelToken()
    lease = workers.lease()
    events: list[Event] = []
    done: list[BaseException] = []

    def go() -> None:
        try:
            run(document({"n": ("pid", {})}), ["n"], catalogue=isolated.catalogue(), cache=Cache(), on=workers,
                cancel=cancel, on_event=events.append)  # fmt: skip
        except BaseException as error:
            done.append(error)

    thread = threading.Thread(target=go)
    thread.start()
    waits(workers)
    cancel.cancel()
    thread.join(10)
    assert [type(error) for error in done] == [Cancelled]
    assert [event.event for event in events] == ["job_cancelled"]
    lease.close()


def test_a_run_waits_no_longer_than_it_is_told(start: Counted) -> None:
    workers = Workers(size=1, start=start, timeout=0.01)
    lease = workers.lease()
    events: list[Event] = []
    with pytest.raises(RunFailed, match=r"all 1 workers are busy, and none was free within 0.01 s"):
        run(document({"n": ("pid", {})}), ["n"], catalogue=isolated.catalogue(), cache=Cache(), on=workers,
            on_event=events.append)  # fmt: skip
    assert [event.event for event in events] == ["job_failed"]
    lease.close()
    workers.lease().close()


def test_one_that_cannot_be_started_leaves_its_place_to_others() -> None:
    starts = Counted()
    fail = True

    def start(slot: int, env: Mapping[str, str]) -> Silent:
        if fail:
            raise OSError("no memory for a process")
        return starts(slot, env)

    workers = Workers(size=1, start=start)
    with pytest.raises(OSError, match="no memory"):
        workers.lease()
    fail = False
    workers.lease().close()


def test_one_that_died_is_replaced_in_its_slot(start: Counted) -> None:
    workers = Workers(size=2, start=start, env_of=lambda slot: {"DEVICE": str(slot)})
    first, second = workers.lease(), workers.lease()
    gone = worker_of(second)
    gone.close()
    second.close()
    third = workers.lease()
    assert (worker_of(third).slot, worker_of(third).env) == (gone.slot, {"DEVICE": "1"})
    first.close()
    third.close()
    worker_of(first).alive = False  # it died while it was idle
    assert sorted(worker_of(workers.lease()).slot for _ in range(2)) == [0, 1]


def test_each_lease_with_devices_of_its_own_has_slots_of_its_own(start: Counted) -> None:
    own = Workers(size=2, start=start, env_of=lambda slot: {})
    assert own.lease().devices is not own.lease().devices is not None
    assert Workers(start=start).lease().devices is None


def test_a_run_goes_where_its_live_values_are(start: Counted) -> None:
    workers = Workers(size=3, start=start)
    caches = [Cache() for _ in range(3)]
    leases = [workers.lease(cache) for cache in caches]
    at = [worker_of(lease) for lease in leases]
    for worker in at:
        worker.live.add((worker.owner, 1, 0))
    for lease in leases:
        lease.close()
    for place in (0, 2, 1, 0):
        lease = workers.lease(caches[place])
        assert worker_of(lease) is at[place]
        lease.close()


def test_runs_that_need_several_do_not_wait_for_each_other(start: Counted) -> None:
    workers = Workers(size=3, per_run=2, start=start)
    first = workers.lease()
    assert len(first._workers) == 2
    thread = Leasing(workers)
    waits(workers)
    assert len(start.started) == 2, "half of what a run needs is not taken"
    first.close()
    second = thread.end()
    assert len(second._workers) == 2
    second.close()
    with pytest.raises(ValueError, match="a run needs 4 workers, and there may be 3"):
        Workers(size=3, per_run=4, start=start)


def test_closing_tells_those_who_wait(start: Counted) -> None:
    workers = Workers(size=1, start=start)
    lease = workers.lease()
    thread = Leasing(workers)
    waits(workers)
    workers.close()
    assert "were closed" in str(thread.end())
    lease.close()
    assert start.alive == []


# -- processes


@pytest.fixture(scope="module")
def two() -> Iterator[Workers]:
    workers = Workers(Limits(), size=2, env_of=lambda slot: {"WEFT_TEST_DEVICE": f"device {slot}"})
    yield workers
    workers.close()


def test_processes_have_the_environment_of_their_slot(two: Workers) -> None:
    leases = [two.lease(), two.lease()]
    slots = {lease._workers[0].slot for lease in leases}
    for lease in leases:
        lease.close()
    assert slots == {0, 1}
    seen = run(document({"n": ("environment", {"name": "WEFT_TEST_DEVICE"})}), ["n"], catalogue=isolated.catalogue(),
               cache=Cache(), on=two)["n"]  # fmt: skip
    assert seen in ("device 0", "device 1")


def test_what_else_nodes_say_arrives(two: Workers) -> None:
    events: list[Any] = []
    result = run(document({"n": ("reports", {"count": 3})}), ["n"], catalogue=isolated.catalogue(), cache=Cache(),
                 on=two, on_event=events.append)  # fmt: skip
    said = [event for event in events if event.event == "node_report"]
    assert [(event.node, event.kind, event.data) for event in said] == [
        ("n", "tests.loss", {"step": step}) for step in range(3)
    ]
    resumed = [event for event in events if event.event == "node_resumed"]
    assert [(event.steps, event.total) for event in resumed] == [(2, 5)]
    assert result.reused == 2
    silent = run(
        document({"n": ("reports", {"count": 3})}), ["n"], catalogue=isolated.catalogue(), cache=Cache(), on=two
    )
    assert silent.reused == 2, "also when nobody listens"


@pytest.mark.parametrize("kind", ["GeneratorExit", "CancelledError"])
def test_what_is_no_exception_is_the_nodes_failure_there_too(two: Workers, kind: str) -> None:
    with pytest.raises(RunFailed) as caught:
        run(document({"n": ("panics", {"kind": kind})}), ["n"], catalogue=isolated.catalogue(), cache=Cache(), on=two)
    assert (caught.value.error.node, caught.value.error.exception) == ("n", kind)


@pytest.mark.parametrize("kind", ["yields", "yields_async"])
def test_a_node_there_can_let_others_have_its_device(two: Workers, kind: str, tmp_path: Any) -> None:
    mark, other = str(tmp_path / "a"), str(tmp_path / "b")
    nodes = {"y": (kind, {"mark": mark, "other": other}), "t": ("touch", {"mark": other, "after": mark})}
    result = run(document(nodes), ["y", "t"], catalogue=isolated.catalogue(), cache=Cache(), on=two)
    assert (result["y"], result["t"]) == ("went on", other)


def test_a_slow_listener_ends_no_healthy_worker(monkeypatch: pytest.MonkeyPatch) -> None:
    """It takes longer at each report than a worker may be silent; told by turns, not by the clock."""
    workers = Workers(Limits(hang_seconds=2.0))
    entered, passed = threading.Event(), threading.Event()
    heard: list[str] = []

    def listen(event: Event) -> None:
        heard.append(event.event)
        if event.event == "node_report" and not entered.is_set():
            entered.set()
            assert passed.wait(30)

    def go_on() -> None:
        assert entered.wait(30)
        # Everything the worker says is taken in meanwhile: its answer, too, so the call has ended.
        while leased[0].calls:
            pass
        passed.set()

    leased: list[Any] = []
    lease = workers.lease

    def spied(*arguments: Any) -> Any:
        executor = lease(*arguments)
        leased.extend(executor._workers)
        return executor

    monkeypatch.setattr(workers, "lease", spied)
    thread = threading.Thread(target=go_on)
    thread.start()
    doc = document({"n": ("reports", {"count": 20}), "m": ("pid", {"value": link("n")})})
    assert run(doc, ["n", "m"], catalogue=isolated.catalogue(), cache=Cache(), on=workers, on_event=listen)["n"] == 20
    thread.join(10)
    assert heard.count("node_report") == 20
    assert heard[-1] == "job_finished"
    workers.close()
