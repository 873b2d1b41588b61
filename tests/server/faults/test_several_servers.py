"""Several real servers on one database of PostgreSQL: who follows a job is told of it, wherever it runs."""

from __future__ import annotations

import contextlib
import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from websockets.sync.client import connect

from tests.server.faults.calling import FAULTY, Caller, assert_one_end, simple, until
from tests.server.running import document, running
from tests.server.store.postgres_server import emptied


@pytest.fixture(scope="module")
def two(postgres_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Caller, Caller]]:
    """Two servers with a worker each."""
    environment = {"WEFT_DATABASE": emptied(postgres_url)}
    with contextlib.ExitStack() as stack:
        callers = []
        for name in ("one", "other"):
            folder = tmp_path_factory.mktemp(name)
            server = stack.enter_context(running(folder, "--nodes", FAULTY, environment=environment))
            callers.append(Caller(server))
        yield callers[0], callers[1]


class Following:
    """A websocket that reads until so many jobs have ended."""

    def __init__(self, caller: Caller, jobs: int) -> None:
        self.states: dict[str, list[int]] = {}
        self.queues: list[dict[str, Any]] = []
        self._left = jobs
        self._open = contextlib.ExitStack()
        address = caller.server.url.replace("http", "ws", 1) + "api/v1/ws"
        self._connection = self._open.enter_context(connect(address, compression=None, max_queue=None))
        self._connection.send(json.dumps({"subscribe": {"jobs": "all", "queue": True}}))
        self.queues.append(json.loads(self._connection.recv(timeout=60)))  # it follows now
        self._thread = threading.Thread(target=self._read)
        self._thread.start()

    def _read(self) -> None:
        with contextlib.suppress(TimeoutError), self._open:
            while self._left or self.queues[-1]["queued"] + self.queues[-1]["running"]:
                event = json.loads(self._connection.recv(timeout=60))
                if event["event"] == "queue":
                    self.queues.append(event)
                if "state" in event:
                    self.states.setdefault(event["job"], []).append(event["state"])
                    self._left -= event["event"] in {"job_finished", "job_failed", "job_cancelled"}

    def join(self) -> None:
        """Wait until it has seen all."""
        self._thread.join(90)
        assert not self._left


def blocked(caller: Caller, path: Path) -> str:
    """A job that keeps this server's worker from all others."""
    id = caller.submit(document(a=("fault_steps", {"path": str(path), "steps": 60_000})))
    until(path.exists, "the job to run")
    return id


def busy(caller: Caller) -> bool:
    return caller.queue()["workers"][0]["job"] is not None


def test_a_job_of_another_server_is_followed_to_its_end(two: tuple[Caller, Caller], tmp_path: Path) -> None:
    one, other = two
    first = blocked(one, tmp_path / "first")
    runner, watcher = (one, other) if busy(one) else (other, one)
    # What the watcher is asked runs at the watcher, so it is asked to run nothing: its worker waits at a gate.
    second = blocked(watcher, tmp_path / "second")
    runner.post(f"jobs/{first}/cancel")
    watcher.ended(first)
    follower = Following(watcher, 3)
    waited = watcher.post("jobs", {"workflow": simple(1)}, Prefer="wait=60")
    assert (waited.status_code, waited.json()["state"]) == (200, "done")
    id = watcher.submit(simple(2))
    address = f"/api/v1/jobs/{id}/events"
    with watcher.http.stream("GET", address, headers={"Accept": "text/event-stream"}) as stream:
        told = [json.loads(line.removeprefix("data: ")) for line in stream.iter_lines() if line.startswith("data: ")]
    assert_one_end(told)
    assert told == runner.events(id)
    assert busy(watcher)  # they ran at the other server
    runner.post(f"jobs/{second}/cancel")  # asked for at the one that does not run it
    assert watcher.ended(second)["state"] == "cancelled"
    follower.join()
    for job in (waited.json()["id"], id):
        assert follower.states[job] == list(range(len(runner.events(job))))
    assert follower.queues[-1] == {"event": "queue", "paused": False, "queued": 0, "running": 0}


def test_followers_of_all_servers_see_all_jobs_in_order(two: tuple[Caller, Caller]) -> None:
    callers, count = two, 24
    for number, caller in enumerate(callers):
        caller.run(simple(-1 - number))  # the workers are there
    followers = [Following(caller, count) for caller in callers]
    ids = [callers[number % 2].submit(simple(number)) for number in range(count)]
    for follower in followers:
        follower.join()
    ended = {id: len(callers[0].events(id)) for id in ids}
    for follower in followers:
        assert {id: follower.states[id] for id in ids} == {id: list(range(number)) for id, number in ended.items()}
        assert len(follower.queues) > 1


def test_a_pause_at_one_server_is_told_at_the_other(two: tuple[Caller, Caller]) -> None:
    one, other = two
    with connect(other.server.url.replace("http", "ws", 1) + "api/v1/ws", compression=None) as connection:
        connection.send(json.dumps({"subscribe": {"queue": True}}))
        assert not json.loads(connection.recv(timeout=60))["paused"]
        one.post("queue/pause")
        while not json.loads(connection.recv(timeout=60))["paused"]:
            pass
        one.post("queue/resume")
        while json.loads(connection.recv(timeout=60))["paused"]:
            pass
