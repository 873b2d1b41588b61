"""What tests of faults ask a real server."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import httpx

from tests.server.running import RunningServer, document

FAULTY = Path(__file__).parents[1] / "faulty"
ENDED = {"done", "failed", "cancelled"}
PATIENCE = 60.0
"""Seconds after which a test fails that waits for something."""


def with_limits(**limits: float) -> str:
    """A program that runs a server whose workers have other limits."""
    said = ", ".join(f"{name}={value!r}" for name, value in limits.items())
    return (
        "import weft.server.serving as serving; from weft.engine.isolation import Limits; "
        f"from weft.server.workers.means import Rules; serving.WorkerRules = lambda: Rules(limits=Limits({said})); "
        "from weft.server.cli.app import main; main()"
    )


class Caller:
    """A client of a server, which may be started again meanwhile."""

    def __init__(self, server: RunningServer) -> None:
        self.server = server
        self.http = httpx.Client(base_url=server.url, timeout=PATIENCE)

    def post(self, path: str, data: Any = None, **headers: str) -> httpx.Response:
        """POST JSON."""
        return self.http.post(f"/api/v1/{path}", json={} if data is None else data, headers=headers)

    def submit(self, _workflow: dict[str, Any] | None = None, /, **fields: Any) -> str:
        """Queue a job; its id."""
        answer = self.post("jobs", {"workflow": _workflow or simple(), **fields})
        assert answer.status_code == 202, answer.text
        return str(answer.json()["id"])

    def run(self, workflow: dict[str, Any]) -> dict[str, Any]:
        """The job of a workflow once it has ended."""
        return self.ended(self.submit(workflow))

    def job(self, id: str) -> dict[str, Any]:
        """A job as it is."""
        found: dict[str, Any] = self.http.get(f"/api/v1/jobs/{id}").json()
        return found

    def ended(self, id: str) -> dict[str, Any]:
        """A job once it has ended."""
        until(lambda: self.job(id)["state"] in ENDED, f"{id} to end")
        return self.job(id)

    def all_ended(self, ids: Iterable[str]) -> list[dict[str, Any]]:
        """Jobs once they have ended."""
        return [self.ended(id) for id in ids]

    def events(self, id: str) -> list[dict[str, Any]]:
        """The state events of a job."""
        found: list[dict[str, Any]] = self.http.get(f"/api/v1/jobs/{id}/events").json()["events"]
        return found

    def queue(self) -> dict[str, Any]:
        """How the queue is."""
        found: dict[str, Any] = self.http.get("/api/v1/queue").json()
        return found

    def processes(self) -> list[int]:
        """The worker processes of jobs: the children of the guards below the server."""
        assert self.server.process is not None
        return [worker for guard in children(self.server.process.pid) for worker in children(guard)]


def simple(number: int = 0) -> dict[str, Any]:
    """A workflow that takes no time."""
    return document(a=("fault_show", {"value": number}))


def counted(number: int, log: Path, seconds: float = 0.0) -> dict[str, Any]:
    """Three nodes that count, one after the other."""
    nodes: dict[str, tuple[str, dict[str, Any]]] = {}
    value: Any = number * 100
    for name in ("a", "b", "c"):
        nodes[name] = ("fault_count", {"number": value, "log": str(log), "seconds": seconds})
        value = {"link": name}
    return document(**nodes, total=("fault_show", {"value": value}))


def until(true: Callable[[], object], what: str) -> None:
    """Wait until something is true."""
    end = time.monotonic() + PATIENCE
    while not true():
        assert time.monotonic() < end, f"waited for {what}"
        time.sleep(0.01)


def children(process: int) -> list[int]:
    """The processes below one."""
    found: list[int] = []
    for path in Path(f"/proc/{process}/task").glob("*/children"):
        try:
            found += map(int, path.read_text().split())
        except OSError:  # the thread has ended
            continue
    return sorted(found)


def assert_one_end(events: list[dict[str, Any]]) -> None:
    """State events are numbered without a gap, `seq` rises, and the last one, and no other, ends the job."""
    assert [event["state"] for event in events] == list(range(len(events)))
    numbers = [event["seq"] for event in events]
    assert numbers == sorted(set(numbers)), json.dumps(events)
    ends = [event["event"] for event in events if event["event"] in {"job_finished", "job_failed", "job_cancelled"}]
    assert len(ends) == 1
    assert events[-1]["event"] == ends[0]
