"""A server that did much is as it was before: no task, descriptor, thread or memory is left of what is over."""

from __future__ import annotations

import contextlib
import json
import os
import random
import signal
from collections.abc import Callable
from pathlib import Path

import pytest
from websockets.sync.client import connect

from tests.server.faults.calling import FAULTY, Caller, assert_one_end, counted, simple, until
from tests.server.faults.test_stalled import resident
from tests.server.files.pictures import encoded
from tests.server.running import PROGRAM, document, running


def test_what_is_over_leaves_nothing(tmp_path: Path) -> None:
    print(soak(tmp_path, rounds=2, jobs=36, first=12))


@pytest.mark.chaos
def test_a_day_of_work_leaves_nothing(tmp_path: Path) -> None:
    print(soak(tmp_path, rounds=20, jobs=200))


def soak(folder: Path, rounds: int, jobs: int, first: int | None = None) -> str:
    """Rounds of all that clients do, with faults; after each, what the server has is counted. The first one, after
    which everything has been there once, may have fewer jobs."""
    counts = folder / "counts"
    tell = f"lambda *_: open({str(counts)!r}, 'w').write(f'{{len(asyncio.all_tasks())}}\\n')"
    program = f"import asyncio, signal; signal.signal(signal.SIGUSR1, {tell}); {PROGRAM}"
    draw = random.Random(6)
    with running(folder, "--nodes", FAULTY, "--workers", 2, program=program) as server:
        caller = Caller(server)
        work(caller, folder, draw, first or jobs, 0)
        found = [has(caller, counts)]
        for number in range(1, rounds):
            work(caller, folder, draw, jobs, number)
            found.append(has(caller, counts))
    before, last = found[0], found[-1]
    assert last["tasks"] <= before["tasks"] + 2, found
    assert last["descriptors"] <= before["descriptors"] + 4, found
    assert last["threads"] <= before["threads"] + 4, found
    # A round of 200 jobs takes about 10 s: 1 MB a minute, and what fluctuates.
    assert last["bytes"] - before["bytes"] <= (8 << 20) + rounds * (200 << 10), found
    return json.dumps({"first": before, "last": last, "rounds": rounds, "jobs": rounds * jobs})


def work(caller: Caller, folder: Path, draw: random.Random, jobs: int, number: int) -> None:
    """Jobs that are done, fail, are cancelled, lose their worker; clients that come and go; files; deletions."""
    address = caller.server.url.replace("http", "ws", 1) + "api/v1/ws"
    path = folder / "runs"

    def fails() -> str:
        return caller.submit(document(a=("fault_raise", {"message": str(draw.random())})))

    def saves() -> str:
        return caller.submit(document(a=("fault_save", {"path": str(folder / "saved"), "name": f"n{draw.random()}"})))

    def cancelled() -> str:
        id = caller.submit(document(a=("fault_steps", {"path": str(path)})))
        caller.post(f"jobs/{id}/cancel")
        return id

    def watched() -> str:
        with connect(address, compression=None) as connection:
            connection.send(json.dumps({"subscribe": {"jobs": "all", "queue": True, "previews": True}}))
            connection.recv(timeout=60)
            return caller.submit(simple(draw.randrange(1000)))

    def streamed() -> str:
        id = caller.submit(simple(draw.randrange(1000)))
        with caller.http.stream("GET", f"/api/v1/jobs/{id}/events", headers={"Accept": "text/event-stream"}) as answer:
            if draw.random() < 0.5:
                answer.read()
        return id

    def uploaded() -> str:
        caller.http.post("/api/v1/files", content=encoded("PNG"), headers={"Content-Type": "image/png"})
        caller.post("plan", {"workflow": simple(draw.randrange(1000))})
        return caller.submit(counted(draw.randrange(10**6), folder / "calls"))

    kinds: list[Callable[[], str]] = [
        *([lambda: caller.submit(simple(draw.randrange(10**6)))] * 6),
        *(fails, saves, cancelled, watched, streamed, uploaded),
    ]
    ids = []
    for place in range(jobs):
        ids.append(kinds[place % len(kinds)]())
        for worker in caller.processes()[:1] if place == jobs // 2 else ():
            with contextlib.suppress(ProcessLookupError):
                os.kill(worker, signal.SIGKILL)
    for job in caller.all_ended(ids):
        assert_one_end(caller.events(job["id"]))
        if draw.random() < 0.3:
            assert caller.http.delete(f"/api/v1/jobs/{job['id']}").status_code == 204


def has(caller: Caller, counts: Path) -> dict[str, int]:
    """What the server's process has once nothing is to be done."""
    assert caller.server.process is not None
    process = Path(f"/proc/{caller.server.process.pid}")

    def still() -> bool:
        queue = caller.queue()
        workers = [worker for worker in queue["workers"] if worker["job"] is None and worker["alive"]]
        clients = caller.http.get("/api/v1/system").json()["clients"]
        return queue["queued"] + queue["running"] + clients == 0 and len(workers) == 2

    until(still, "the server to have nothing to do")
    counts.unlink(missing_ok=True)
    caller.server.process.send_signal(signal.SIGUSR1)
    until(lambda: counts.exists() and counts.read_text().endswith("\n"), "the tasks to be counted")
    return {
        "tasks": int(counts.read_text()),
        "descriptors": len(list((process / "fd").iterdir())),
        "threads": len(list((process / "task").iterdir())),
        "bytes": resident(caller),
    }
