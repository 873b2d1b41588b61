"""The server is told to end, started again, started twice, or kept from its database."""

from __future__ import annotations

import contextlib
import json
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from tests.server.faults.calling import FAULTY, Caller, assert_one_end, counted, simple, until
from tests.server.running import ROOT, document, running


def refused(caller: Caller) -> bool:
    """Whether a new job is told to come again."""
    answer = caller.post("jobs", {"workflow": simple()})
    return answer.status_code == 503 and int(answer.headers["retry-after"]) > 0 and answer.json()["code"] == "draining"


def test_in_order_what_runs_comes_to_its_end_and_the_rest_stays_queued(tmp_path: Path) -> None:
    with running(tmp_path, "--nodes", FAULTY) as server:
        caller, log = Caller(server), tmp_path / "calls"
        first = caller.submit(counted(1, log, seconds=0.5))
        rest = [caller.submit(counted(number, log)) for number in range(2, 8)]
        until(lambda: caller.job(first)["state"] == "running", "the first job to run")
        assert server.process is not None
        server.process.send_signal(signal.SIGTERM)
        until(lambda: refused(caller), "the server to take no jobs")
        assert caller.job(first)["state"] in {"running", "done"}  # it still answers
        assert server._ended() == 0
        server.start()
        assert caller.job(first)["state"] == "done"
        assert {job["state"] for job in caller.all_ended(rest)} == {"done"}
        assert sorted(map(int, log.read_text().split())) == [n * 100 + k for n in range(1, 8) for k in range(3)]
        assert caller.job(first)["attempts"] == 0


def test_a_job_that_hears_nothing_goes_back_into_the_queue(tmp_path: Path) -> None:
    with running(tmp_path, "--nodes", FAULTY, environment={"WEFT_DRAIN_SECONDS": "0.3"}) as server:
        caller, path = Caller(server), tmp_path / "runs"
        id = caller.submit(document(a=("fault_deaf", {"path": str(path), "seconds": 60.0})))
        until(path.exists, "the node to run")
        assert server.stop() == 0
        assert state(server.data, id) == ("queued", 0)


def test_the_second_signal_ends_the_server_at_once(tmp_path: Path) -> None:
    # Without the second one it would go on for the thousand seconds, and the test would not end.
    with running(tmp_path, "--nodes", FAULTY, environment={"WEFT_DRAIN_SECONDS": "1000"}) as server:
        caller, path = Caller(server), tmp_path / "runs"
        id = caller.submit(document(a=("fault_deaf", {"path": str(path), "seconds": 1000.0})))
        until(path.exists, "the node to run")
        assert server.process is not None
        server.process.send_signal(signal.SIGTERM)
        until(lambda: refused(caller), "the server to take no jobs")
        assert server.stop() == 0
        assert state(server.data, id) == ("queued", 0)


def test_a_second_server_on_a_folder_is_told_who_has_it(tmp_path: Path) -> None:
    with running(tmp_path, "--nodes", FAULTY) as server:
        assert server.process is not None
        program = [sys.executable, "-c", server.program, "serve", "--port", "0", "--data", str(server.data)]
        second = subprocess.run(program, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
        assert second.returncode == 2
        assert f"process {server.process.pid} " in second.stderr
        assert Caller(server).run(simple())["state"] == "done"


def test_restarts_in_a_row_burn_no_attempts(tmp_path: Path) -> None:
    with running(tmp_path, "--nodes", FAULTY, environment={"WEFT_DRAIN_SECONDS": "0"}) as server:
        caller, path = Caller(server), tmp_path / "runs"
        id = caller.submit(document(a=("fault_steps", {"path": str(path), "steps": 100})))
        for number in range(3):
            until(path.exists, "the node to run")
            path.unlink()
            if number % 2:
                server.kill()
            else:
                assert server.stop() == 0
            server.start()
        job = caller.ended(id)
        assert (job["state"], job["attempts"]) == ("done", 0)
        assert_one_end(caller.events(id))


def test_a_pause_and_the_queue_outlive_the_server(tmp_path: Path) -> None:
    with running(tmp_path, "--nodes", FAULTY) as server:
        caller = Caller(server)
        assert caller.post("queue/pause").json()["paused"]
        low, high = caller.submit(simple(1)), caller.submit(simple(2), priority=5)
        last = caller.submit(simple(3), priority=-1)
        moved = caller.http.patch(f"/api/v1/jobs/{last}", json={"before": low}).json()
        assert [caller.job(id)["position"] for id in (high, last, low)] == [0, 1, 2]
        assert moved["priority"] == 0
        server.kill()
        server.start()
        assert caller.queue()["paused"]
        assert [caller.job(id)["state"] for id in (low, high, last)] == ["queued"] * 3
        caller.post("queue/resume")
        jobs = caller.all_ended([low, high, last])
        assert [job["id"] for job in sorted(jobs, key=lambda job: job["started"])] == [high, last, low]
        assert caller.http.patch(f"/api/v1/jobs/{low}", json={"priority": 1}).status_code == 409


def test_a_locked_database_is_waited_for(tmp_path: Path) -> None:
    with running(tmp_path, "--nodes", FAULTY) as server:
        caller = Caller(server)
        caller.run(simple())
        with contextlib.closing(sqlite3.connect(server.data / "weft.sqlite", isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            ids: list[str] = []
            thread = threading.Thread(target=lambda: ids.append(caller.submit(simple(2))))
            thread.start()
            thread.join(1.5)
            assert thread.is_alive()  # it waits, and others are answered
            assert caller.queue()["queued"] == 0
            other.execute("COMMIT")
        thread.join(60)
        assert caller.ended(ids[0])["state"] == "done"


@pytest.mark.chaos
def test_thirty_restarts_burn_no_attempts(tmp_path: Path) -> None:
    with running(tmp_path, "--nodes", FAULTY, environment={"WEFT_DRAIN_SECONDS": "0"}) as server:
        caller = Caller(server)
        ids = [caller.submit(counted(number, tmp_path / "calls", seconds=0.1)) for number in range(100)]
        workers, began = set(caller.processes()), time.monotonic()
        for number in range(30):
            if number % 3:
                assert server.stop() == 0
            else:
                server.kill()
            server.start()
            workers |= set(caller.processes())
        print(json.dumps({"restarts": 30, "seconds": round(time.monotonic() - began, 1)}))
        until(lambda: not (workers - set(caller.processes())) & alive(), "the workers of earlier servers to be gone")
        assert (server.data / "weft.sqlite-wal").stat().st_size < 64 << 20
        for job in caller.all_ended(ids):
            assert (job["state"], job["attempts"]) == ("done", 0)
            assert_one_end(caller.events(job["id"]))


def alive() -> set[int]:
    """The processes of this machine."""
    return {int(path.name) for path in Path("/proc").iterdir() if path.name.isdigit()}


def state(data: Path, id: str) -> tuple[str, int]:
    """A job's state and attempts in the database of a server that has ended."""
    with contextlib.closing(sqlite3.connect(data / "weft.sqlite")) as database:
        found: tuple[str, int] = database.execute("SELECT state, attempts FROM jobs WHERE id = ?", (id,)).fetchone()
        return found
