"""Another kind of worker than a process: threads of this process, reached by queues. What isolation promises of values,
lazy inputs, cancels and failures holds for it too."""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgpack
import pytest

from tests.engine import isolated
from tests.engine.test_isolation import (  # noqa: F401 (run again here, over this transport)
    document,
    failure,
    isolate,
    link,
    test_a_live_value_of_this_process_is_no_hit,
    test_a_live_value_that_nobody_names_is_let_go_of,
    test_a_node_has_its_folders_and_its_provenance,
    test_a_node_that_changes_its_input_changes_its_own_copy,
    test_an_ordinary_failure_says_what_it_says_elsewhere,
    test_async_nodes_run_beside_each_other,
    test_files_are_results_here,
    test_lazy_inputs_are_asked_for,
    test_live_values_stay_in_the_worker,
    test_outputs_that_can_leave_do,
    test_values_cross_both_ways_small_and_large,
)
from weft.engine import Cache, Cancelled, CancelToken, RunFailed, Settings, run
from weft.engine.cache.codec import Buffer
from weft.engine.isolation import Transport, Workers
from weft.engine.isolation.parcels import Address
from weft.engine.isolation.worker import Server
from weft.engine.running.lanes import LaneSizes


class Line:
    """What the worker has of the way: msgpack through queues, so that nothing is shared by accident."""

    def __init__(self, transport: Threads) -> None:
        self.transport = transport
        self.inbox: queue.SimpleQueue[tuple[bytes, bytes] | None] = queue.SimpleQueue()

    def receive(self) -> tuple[Any, bytearray]:
        item = self.inbox.get()
        if item is None:
            raise EOFError
        return msgpack.unpackb(item[0], strict_map_key=False), bytearray(item[1])

    def send(self, message: Any, body: Sequence[Buffer] = ()) -> None:
        copy = msgpack.unpackb(msgpack.packb(message), strict_map_key=False)
        self.transport.received(copy, bytearray(b"".join(body)))


class Threads(Transport):
    """A worker that is threads of this process."""

    everyone: dict[str, Threads] = {}  # noqa: RUF012

    def __init__(self, slot: int = 0, env: Mapping[str, str] | None = None) -> None:
        super().__init__(slot)
        self.line = Line(self)
        self.server = Server(self.line, leave=lambda: None)
        self.env = dict(env or {})
        self.everyone[self.owner] = self
        self.begun: list[str] = []
        threading.Thread(target=self.server.serve, name="weft-threads", daemon=True).start()

    def send(self, message: dict[str, Any], body: Sequence[Buffer] = ()) -> None:
        if not self.alive:
            raise OSError("it was closed")
        if message["do"] == "call":
            self.begun.append(message["type"]["name"])
        self.line.inbox.put((msgpack.packb(message), b"".join(body)))

    def close(self) -> None:
        self.end()
        self.line.inbox.put(None)


class Handing(Threads):
    """Such a worker that hands its live values over."""

    def adopt(self, addresses: Iterable[Address]) -> None:
        for address in addresses:
            self.server.live[address] = self.everyone[address[0]].server.live[address]
            self.live.add(address)


@pytest.fixture(autouse=True)
def own_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    """These workers take over settings of the host into their process, which is this one."""
    monkeypatch.setenv("WEFT_MODELS", "")
    monkeypatch.delenv("WEFT_FILES", raising=False)


@pytest.fixture(scope="module")
def shared() -> Iterator[Workers]:
    """What the tests above run on."""
    workers = Workers(start=Threads)
    yield workers
    workers.close()


def test_a_cancel_reaches_it(shared: Workers) -> None:
    cancel = CancelToken()

    def listen(event: Any) -> None:
        if event.event == "node_progress":
            cancel.cancel()

    with pytest.raises(Cancelled):
        run(document({"n": ("stepping", {})}), ["n"], catalogue=isolated.catalogue(), cache=Cache(), on=shared,
            cancel=cancel, on_event=listen)  # fmt: skip


def test_what_is_in_flight_when_it_goes_is_told() -> None:
    begun: list[Threads] = []

    def start(slot: int, env: Mapping[str, str]) -> Threads:
        begun.append(Threads(slot, env))
        return begun[-1]

    def listen(event: Any) -> None:
        if event.event == "node_progress":
            begun[0].close()

    with pytest.raises(RunFailed, match="its worker is gone"):
        run(document({"n": ("stepping", {})}), ["n"], catalogue=isolated.catalogue(), cache=Cache(),
            on=Workers(start=start), on_event=listen)  # fmt: skip


@pytest.fixture
def pair(request: pytest.FixtureRequest) -> Iterator[tuple[Workers, list[Threads]]]:
    """Workers of which each run has two, with a device each."""
    begun: list[Threads] = []

    def start(slot: int, env: Mapping[str, str]) -> Threads:
        begun.append(getattr(request, "param", Threads)(slot, env))
        return begun[-1]

    workers = Workers(size=2, per_run=2, env_of=lambda slot: {"DEVICE": str(slot)}, start=start)
    yield workers, begun
    workers.close()


def test_each_worker_has_its_device_and_its_environment(pair: tuple[Workers, list[Threads]], tmp_path: Path) -> None:
    workers, begun = pair
    marks = [str(tmp_path / name) for name in "ab"]
    nodes = {
        "a": ("device_meets", {"mine": marks[0], "other": marks[1]}),
        "b": ("device_meets", {"mine": marks[1], "other": marks[0]}),
    }
    settings = Settings(lanes=LaneSizes(device=2))
    run(document(nodes), ["a", "b"], catalogue=isolated.catalogue(), cache=Cache(), on=workers, settings=settings)
    assert [worker.begun for worker in begun] == [["device_meets"], ["device_meets"]]
    assert [worker.env for worker in begun] == [{"DEVICE": "0"}, {"DEVICE": "1"}]


@pytest.mark.parametrize("pair", [Threads, Handing], indirect=True)
def test_a_live_value_is_used_in_another_worker(pair: tuple[Workers, list[Threads]], tmp_path: Path) -> None:
    """Two device nodes that have to run at once share a live value that one of the two workers made."""
    workers, begun = pair
    log = tmp_path / "log"
    marks = [str(tmp_path / name) for name in "ab"]
    nodes = {
        "live": ("live", {"number": 5, "log": str(log)}),
        "a": ("device_meets", {"mine": marks[0], "other": marks[1], "value": link("live")}),
        "b": ("device_meets", {"mine": marks[1], "other": marks[0], "value": link("live")}),
    }
    settings = Settings(lanes=LaneSizes(device=2))
    result = run(document(nodes), ["a", "b", "live"], catalogue=isolated.catalogue(), cache=Cache(), on=workers,
                 settings=settings)  # fmt: skip
    assert (result["a"], result["b"]) == ("Live", "Live")
    assert result["live"].owner in {worker.owner for worker in begun}
    handed_over = isinstance(begun[0], Handing)
    assert len(log.read_text().split()) == (1 if handed_over else 2), "made again only where it is not handed over"
