"""Order, slots, keys and cancels at a real server, and clients that come and go, or do not read."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import threading
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from websockets.sync.client import ClientConnection, connect

from tests.server.faults.calling import FAULTY, Caller, assert_one_end, counted, simple, until
from tests.server.running import document, running


@pytest.fixture(scope="module")
def caller(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Caller]:
    with running(tmp_path_factory.mktemp("queue"), "--nodes", FAULTY) as server:
        caller = Caller(server)
        caller.run(simple(-1))  # the worker is there
        yield caller


@contextlib.contextmanager
def follow(caller: Caller, **wanted: object) -> Iterator[ClientConnection]:
    """A websocket that has said what it wants."""
    address = caller.server.url.replace("http", "ws", 1) + "api/v1/ws"
    with connect(address, compression=None, max_queue=None) as connection:
        connection.send(json.dumps({"subscribe": {"jobs": "all", **wanted}}))
        yield connection


def running_job(caller: Caller, path: Path, **fields: object) -> str:
    """A job that runs, until it is cancelled."""
    id = caller.submit(document(a=("fault_steps", {"path": str(path), "steps": 6000})), **fields)
    until(path.exists, "the job to run")
    return id


# -- order


def test_a_newer_job_of_a_slot_cancels_those_before_it(caller: Caller, tmp_path: Path) -> None:
    first = running_job(caller, tmp_path / "runs", slot="tab")
    other = caller.submit(simple(10), slot="other tab")
    steps = document(a=("fault_steps", {"path": str(tmp_path / "more"), "steps": 6000}))
    second = caller.submit(steps, slot="tab")
    third = caller.submit(simple(12), slot="tab")
    assert [caller.ended(id)["state"] for id in (first, second, third, other)] == ["cancelled"] * 2 + ["done"] * 2
    for id in (first, second, third):
        assert_one_end(caller.events(id))


def test_the_same_request_again_cancels_nothing_of_its_slot(caller: Caller, tmp_path: Path) -> None:
    body = {"workflow": simple(20), "slot": "keyed"}
    headers = {"Idempotency-Key": "slot-key"}
    old = caller.post("jobs", body, **headers).json()["id"]
    caller.ended(old)
    newer = running_job(caller, tmp_path / "runs", slot="keyed")
    assert caller.post("jobs", body, **headers).json()["id"] == old
    assert caller.job(newer)["state"] == "running"
    caller.post(f"jobs/{newer}/cancel")
    assert caller.ended(newer)["state"] == "cancelled"


def test_many_equal_requests_at_once_are_one_job(caller: Caller) -> None:
    body = {"workflow": simple(30)}
    with ThreadPoolExecutor(8) as threads:
        answers = list(threads.map(lambda _: caller.post("jobs", body, **{"Idempotency-Key": "one"}), range(24)))
    assert {answer.status_code for answer in answers} <= {200, 202}
    assert len({answer.json()["id"] for answer in answers}) == 1
    assert caller.post("jobs", {"workflow": simple(31)}, **{"Idempotency-Key": "one"}).status_code == 409


def test_jobs_that_alternate_two_models_load_each_once(caller: Caller, tmp_path: Path) -> None:
    log = tmp_path / "loads"
    ids = [
        caller.submit(
            document(
                m=("fault_load", {"model": f"{tmp_path.name}-{number % 2}", "log": str(log)}),
                a=("fault_use", {"model": {"link": "m"}, "number": number}),
            )
        )
        for number in range(10)
    ]
    assert {job["state"] for job in caller.all_ended(ids)} == {"done"}
    assert sorted(Counter(log.read_text().split()).values()) == [1, 1]


def test_each_of_two_workers_takes_the_jobs_of_its_model(tmp_path: Path) -> None:
    """Two models, two workers: each is loaded by one of them, while there are jobs of both."""
    log = tmp_path / "loads"
    gates = [tmp_path / "first", tmp_path / "second"]

    def using(model: str, number: int) -> str:
        return caller.submit(
            document(
                m=("fault_load", {"model": model, "log": str(log)}),
                a=("fault_use", {"model": {"link": "m"}, "number": number, "seconds": 0.01}),
            )
        )

    with running(tmp_path, "--nodes", FAULTY, "--workers", 2) as server:
        caller = Caller(server)
        # Both workers are kept busy, so that each takes one of the first two jobs, whose models differ.
        blocking = [running_job(caller, gate) for gate in gates]
        ids = [using("a", 0), using("b", 1)]
        ids += [using("ab"[place // 3 % 2], 2 + place) for place in range(18)]
        ids.insert(2, using("c", 100))  # whose model nobody has
        ids += [using("b", 200 + place) for place in range(38)]
        for id in blocking:
            caller.post(f"jobs/{id}/cancel")
        jobs = {job["id"]: job for job in caller.all_ended(ids)}
    assert {job["state"] for job in jobs.values()} == {"done"}
    order = sorted(ids, key=lambda id: jobs[id]["started"])
    came = sorted(ids)
    # In the order in which they came, both workers would have loaded both models by then, and one of them the third.
    assert sum(jobs[id]["ran"] == 2 for id in order[:14]) <= 2, [jobs[id]["ran"] for id in order]
    for place, id in enumerate(order):
        passed = set(came[: came.index(id)]) - set(order[:place])
        assert len(passed) <= 32, "no job passes more than 32 others"
    # Whoever has no job of its own model left takes others, and loads for them; but nobody loads a model twice.
    loads = Counter(log.read_text().split())
    assert loads["c"] == 1
    assert max(loads.values()) <= 2, loads


# -- cancels


def test_a_cancel_ends_a_job_in_each_of_its_phases(caller: Caller, tmp_path: Path) -> None:
    blocking = running_job(caller, tmp_path / "blocks")
    queued = caller.submit(simple(40))
    assert caller.post(f"jobs/{queued}/cancel").json()["state"] == "cancelled"
    caller.post(f"jobs/{blocking}/cancel")
    saving = caller.submit(document(a=("fault_save", {"path": str(tmp_path / "saves"), "seconds": 60.0})))
    until((tmp_path / "saves").exists, "the node to write its file")
    caller.post(f"jobs/{saving}/cancel")
    begun = [caller.submit(counted(400 + number, tmp_path / "calls", seconds=0.2)) for number in range(3)]
    for id in begun:  # at once: while it is claimed, or the run begins
        caller.post(f"jobs/{id}/cancel")
    for id in (blocking, queued, saving, *begun):
        job = caller.ended(id)
        assert (job["state"], job["outputs"], job["error"]) == ("cancelled", [], None)
        assert_one_end(caller.events(id))
        assert caller.post(f"jobs/{id}/cancel").json()["state"] == "cancelled"
    assert caller.run(simple(41))["state"] == "done"


def test_a_cancel_in_the_first_moments_of_a_run_is_heard(caller: Caller, tmp_path: Path) -> None:
    before = caller.queue()["workers"][0]["deaths"]
    for number in range(15):
        id = caller.submit(document(a=("fault_steps", {"path": str(tmp_path / "runs"), "steps": 6000 + number})))
        until(lambda id=id: caller.job(id)["state"] != "queued", "the job to be claimed")  # type: ignore[misc]
        caller.post(f"jobs/{id}/cancel")
        assert caller.ended(id)["state"] == "cancelled"
    # It is the run that ended each time, and not the process after its grace period.
    assert caller.queue()["workers"][0]["deaths"] == before


# -- clients


def test_clients_that_come_and_go_leave_nothing(caller: Caller) -> None:
    come_and_go(caller, 50)


@pytest.mark.chaos
def test_five_hundred_clients_that_come_and_go_leave_nothing(caller: Caller) -> None:
    come_and_go(caller, 500)


def come_and_go(caller: Caller, times: int) -> None:
    """Websockets that end in order, and ones that are cut off; afterwards no descriptor and no client is left."""
    assert caller.server.process is not None
    folder = f"/proc/{caller.server.process.pid}/fd"

    def cycle(number: int) -> None:
        with follow(caller, queue=True, previews=True) as connection:
            if number % 3 == 0:
                connection.recv(timeout=60)
            if number % 2:
                connection.socket.shutdown(socket.SHUT_RDWR)

    for number in range(6):  # what is made once is there
        cycle(number)
    until(lambda: caller.http.get("/api/v1/system").json()["clients"] == 0, "all clients to be gone")
    before = len(os.listdir(folder))
    for number in range(times):
        cycle(number)
    until(lambda: caller.http.get("/api/v1/system").json()["clients"] == 0, "all clients to be gone")
    until(lambda: len(os.listdir(folder)) <= before + 2, "the descriptors to be closed")


def test_clients_that_read_nothing_are_not_noticed(caller: Caller) -> None:
    many_clients(caller, stalled=5, reading=10, jobs=10)


@pytest.mark.chaos
def test_two_hundred_clients_miss_nothing(caller: Caller) -> None:
    many_clients(caller, stalled=50, reading=150, jobs=100)


def many_clients(caller: Caller, stalled: int, reading: int, jobs: int) -> None:
    """Some read nothing, the others see all state events of all jobs, each once and in order."""
    address = ("127.0.0.1", int(caller.server.url.rstrip("/").rpartition(":")[2]))
    raw = [socket.create_connection(address) for _ in range(stalled)]
    for one in raw:
        one.sendall(
            f"GET /api/v1/ws HTTP/1.1\r\nHost: 127.0.0.1:{address[1]}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n\r\n".encode()
        )
        said = json.dumps({"subscribe": {"jobs": "all"}}).encode()
        one.sendall(bytes([0x81, 0x80 | len(said)]) + bytes(4) + said)  # masked by zeros
    with contextlib.ExitStack() as stack:
        for one in raw:
            stack.enter_context(one)
        clients = [stack.enter_context(follow(caller)) for _ in range(reading)]
        clients_see_all(caller, clients, stalled, jobs)


def clients_see_all(caller: Caller, clients: list[ClientConnection], others: int, jobs: int) -> None:
    """Run jobs while clients follow."""
    reading = len(clients)
    seen: list[dict[str, list[int]]] = [{} for _ in clients]
    until(lambda: caller.http.get("/api/v1/system").json()["clients"] >= reading + others, "the clients to be there")

    def read(place: int) -> None:
        left = jobs
        while left:
            event = json.loads(clients[place].recv(timeout=60))
            if "state" in event:
                seen[place].setdefault(event["job"], []).append(event["state"])
                left -= event["event"] in {"job_finished", "job_failed", "job_cancelled"}

    threads = [threading.Thread(target=read, args=(place,)) for place in range(reading)]
    for thread in threads:
        thread.start()
    ids = [caller.submit(simple(1000 + number)) for number in range(jobs)]
    caller.all_ended(ids)
    for thread in threads:
        thread.join(60)
    for numbers in seen:
        assert set(numbers) == set(ids)
        for id, states in numbers.items():
            assert states == list(range(len(states))), id


def test_what_was_missed_is_told_again_after_a_restart(caller: Caller, tmp_path: Path) -> None:
    id = caller.run(counted(900, tmp_path / "calls"))["id"]
    whole = caller.events(id)
    caller.server.kill()
    caller.server.start()
    with follow(caller, since={id: 3}) as connection:
        again = [json.loads(connection.recv(timeout=60)) for _ in whole[3:]]
    assert again == whole[3:]
    with follow(caller, jobs=[id], queue=True) as connection:
        assert json.loads(connection.recv(timeout=60)) == {"event": "queue", "paused": False, "queued": 0, "running": 0}
