"""Jobs that a real worker does several at a time are as far apart as those that it does alone."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.server.faults.calling import FAULTY, Caller, assert_one_end
from tests.server.running import document, running

PATIENT = (
    "from weft.server.workers import quick, together; "
    "quick.TOGETHER_SECONDS = together.PATIENCE_SECONDS = together.MOST_SECONDS = 3600.0; "
    "from weft.server.cli.app import main; main()"
)
"""A server that takes jobs for quick however long they take: on a busy machine these would not be claimed together, or
would go back into the queue. What it does at its limits, tests/server/workers/test_together.py says."""


@pytest.fixture(scope="module")
def caller(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Caller]:
    with running(tmp_path_factory.mktemp("together"), "--nodes", FAULTY, program=PATIENT) as server:
        yield Caller(server)


def together(caller: Caller, *workflows: dict[str, Any]) -> list[dict[str, Any]]:
    """Jobs that were claimed together once they have ended; of each kind some have run before."""
    for workflow in workflows:
        for _ in range(2):
            assert caller.run(workflow)["state"] == "done"
    return claimed_together(caller, *workflows)


def claimed_together(caller: Caller, *workflows: dict[str, Any]) -> list[dict[str, Any]]:
    """Jobs once they have ended, whose claim is one."""
    caller.post("queue/pause")
    ids = [caller.submit(workflow) for workflow in workflows]
    caller.post("queue/resume")
    return caller.all_ended(ids)


def test_what_one_changes_the_next_does_not_meet(caller: Caller, tmp_path: Path) -> None:
    look = document(a=("fault_look", {}))
    change = document(a=("fault_change", {"folder": str(tmp_path)}))
    alone = caller.run(look)["outputs"][0]["value"]
    found = together(caller, look, change, look, change, look)
    times = [job["started"] for job in found]
    assert times == sorted(set(times)), "in their order"
    assert times[-1] - times[0] < 0.0001, "they were claimed together"
    assert [job["outputs"][0]["value"] for job in found] == [alone] * 5
    for job in found:
        assert_one_end(caller.events(job["id"]))


def test_a_worker_that_ends_takes_its_job_alone(caller: Caller, tmp_path: Path) -> None:
    def once(name: str, value: int) -> dict[str, Any]:
        return document(a=("fault_exit_once", {"path": str(tmp_path / name), "value": value}))

    (tmp_path / "there").touch()
    for value in range(10, 13):
        assert caller.run(once("there", value))["state"] == "done"
    jobs = [once("gone" if value == 2 else "there", value) for value in range(5)]
    found = claimed_together(caller, *jobs)
    assert [(job["state"], job["outputs"][0]["value"]) for job in found] == [("done", value) for value in range(5)]
    assert [job["attempts"] for job in found] == [0, 0, 1, 0, 0]
    for job in found:
        assert_one_end(caller.events(job["id"]))
