"""Jobs of many kinds in a queue while the server and its workers are killed, and what has to hold afterwards."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx

from tests.server.faults.calling import ENDED, Caller, assert_one_end, children, counted, until
from tests.server.running import RunningServer, document


class Story:
    """Mixed jobs, submitted to a server that is killed meanwhile.

    Args:
        jobs: how many.
        seed: of what is drawn.

    Attributes:
        ready: seconds from each start of the server to its being ready.
        own: the same without the time in which it waited for a processor that others had.
    """

    def __init__(self, server: RunningServer, folder: Path, jobs: int, seed: int) -> None:
        self.server = server
        self.caller = Caller(server)
        self.log = folder / "calls"
        self.log.touch()
        self.random = random.Random(seed)
        self.ready: list[float] = []
        self.own: list[float] = []
        self.ids: dict[str, str] = {}
        """What each job is to end as, by its id."""
        self.writing: set[str] = set()
        """The jobs whose node writes a file."""
        for number in range(jobs):
            kind = number % 5
            if kind == 3:
                workflow = document(a=("fault_raise", {"message": str(number)}))
            elif kind == 4:
                workflow = document(a=("fault_save", {"path": str(folder / "saved"), "name": f"n{number}"}))
            else:
                workflow = counted(number, self.log, seconds=self.random.choice([0.0, 0.01, 0.05]))
            id = self.caller.submit(workflow)
            self.ids[id] = "failed" if kind == 3 else "done"
            if kind == 4:
                self.writing.add(id)

    def kill_all(self) -> None:
        """The same for all its processes, in any order."""
        assert self.server.process is not None
        guards = children(self.server.process.pid)
        processes = [*guards, *(worker for guard in guards for worker in children(guard)), self.server.process.pid]
        self.random.shuffle(processes)
        for process in processes:
            with contextlib.suppress(ProcessLookupError):
                os.kill(process, signal.SIGKILL)
        self.kill_server()

    def kill_server(self) -> None:
        """A power cut, and the power comes back."""
        self.server.kill()
        before = time.monotonic()
        self.server.start()
        until(lambda: self.caller.http.get("/readyz").status_code == 200, "the server to be ready")
        self.ready.append(time.monotonic() - before)
        self.own.append(self.ready[-1] - _waited(self.server))

    def kill_worker(self) -> None:
        """The end of one worker, if there is one."""
        workers = self.caller.processes()
        if workers:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.random.choice(workers), signal.SIGKILL)

    def wait(self, most: float) -> None:
        """Let jobs run for a while."""
        time.sleep(self.random.uniform(0.0, most))

    def unfinished(self) -> int:
        """How many jobs have not ended."""
        queue = self.caller.queue()
        return int(queue["queued"] + queue["running"])

    def check(self, *, worker_kills: int = 0) -> dict[str, Any]:
        """Every job came to its one end; no node that had finished was computed again."""
        jobs = self.caller.all_ended(self.ids)
        assert {job["id"] for job in jobs} == set(self.ids)
        wrong = [job for job in jobs if job["state"] != self.ids[job["id"]]]
        # A worker may be killed three times while it runs the same job, which fails then as it says.
        assert all(job["error"]["code"] == "worker_died" and worker_kills >= 3 for job in wrong), wrong
        for job in jobs:
            events = self.caller.events(job["id"])
            assert_one_end(events)
            assert job["state"] in ENDED
            # What was told as finished is in the cache: a later attempt takes it from there. Files that a node wrote
            # for an attempt that did not come to its end are gone with it, and are written again.
            finished = Counter(event["node"] for event in events if event["event"] == "node_finished")
            attempts = [event["event"] for event in events].count("job_started")
            assert not finished or max(finished.values()) <= (attempts if job["id"] in self.writing else 1), events
            if job["state"] == "done":
                assert len(job["outputs"]) == 1
        queue = self.caller.queue()
        assert (queue["queued"], queue["running"]) == (0, 0)
        calls = Counter(self.log.read_text().split())
        again = sum(count - 1 for count in calls.values())
        found = {"ready_seconds": self.ready, "own_seconds": self.own}
        rounded = {name: [round(item, 2) for item in sorted(items)[-3:]] for name, items in found.items()}
        return {"jobs": len(jobs), **rounded, "computed_again": again}


def _waited(server: RunningServer) -> float:
    """Seconds that the server's main thread was ready to run and did not, where the system counts them."""
    assert server.process is not None
    try:
        return int(Path(f"/proc/{server.process.pid}/schedstat").read_text().split()[1]) / 1e9
    except (OSError, IndexError):
        return 0.0


def post_at_once(
    server: RunningServer, log: Path, jobs: int, kills: int, seed: int, most: int | None = None
) -> dict[str, Any]:
    """Post jobs all at once, or so many at once at most, each with an Idempotency-Key, kill the server in the middle,
    and post those again that have no answer. Each is there once then, and those that were accepted before are what they
    were."""
    draw = random.Random(seed)
    bodies = {f"key {number}": {"workflow": counted(number, log)} for number in range(jobs)}
    accepted: dict[str, str] = {}
    begun = threading.Semaphore(0)

    def post(key: str) -> None:
        try:
            answer = httpx.post(
                f"{server.url}api/v1/jobs", json=bodies[key], headers={"Idempotency-Key": key}, timeout=60.0
            )
        except httpx.TransportError:
            return
        finally:
            begun.release()
        assert answer.status_code == 202, answer.text
        id = answer.json()["id"]
        assert accepted.setdefault(key, id) == id, "the same key is the same job, after a kill too"

    unanswered = []
    for number in range(kills + 1):
        again = draw.sample(sorted(accepted), len(accepted) // 4)
        todo = [key for key in bodies if key not in accepted] + again
        draw.shuffle(todo)
        with ThreadPoolExecutor(most or len(todo)) as threads:
            waiting = [threads.submit(post, key) for key in todo]
            if number < kills:
                for _ in range(draw.randrange(1, max(2, len(todo) // 3))):
                    begun.acquire(timeout=60.0)  # so many have an answer by now
                server.kill()
            for one in waiting:
                one.result()
        while begun.acquire(blocking=False):
            pass
        unanswered.append(len(bodies) - len(accepted))
        if number < kills:
            server.start()
    caller = Caller(server)
    assert accepted.keys() == bodies.keys()
    assert len(set(accepted.values())) == jobs
    listed: list[str] = []
    cursor: dict[str, str] = {}
    while cursor or not listed:
        page = caller.http.get("/api/v1/jobs", params={"limit": 200, **cursor}).json()
        listed += [job["id"] for job in page["jobs"]]
        cursor = {"cursor": page["next"]} if page["next"] else {}
    assert sorted(listed) == sorted(accepted.values()), "no job but these"
    for job in caller.all_ended(accepted.values()):
        assert (job["state"], job["attempts"]) == ("done", 0)
        assert_one_end(caller.events(job["id"]))
    return {"unanswered": unanswered}
