"""Whatever a node does to its worker, it is that job that ends, and the next one runs."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.server.faults.calling import FAULTY, Caller, assert_one_end, simple, with_limits
from tests.server.running import document, running


@pytest.fixture(scope="module")
def caller(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Caller]:
    folder = tmp_path_factory.mktemp("ends")
    program = with_limits(grace_seconds=0.5, hang_seconds=2.0, memory_bytes=1 << 30)
    with running(folder, "--nodes", FAULTY, program=program) as server:
        yield Caller(server)


def failure(caller: Caller, kind: str, **inputs: Any) -> dict[str, Any]:
    """How a job fails, after which another one is done."""
    job = caller.run(document(before=("fault_show", {"value": kind}), bad=(kind, inputs)))
    assert job["state"] == "failed"
    assert caller.run(simple())["state"] == "done"
    error: dict[str, Any] = job["error"]
    assert error["traceback"] == ""
    assert_one_end(caller.events(job["id"]))
    return error | {"attempts": job["attempts"]}


def test_a_node_that_ends_the_process_three_times_fails_its_job(caller: Caller) -> None:
    error = failure(caller, "fault_exit", value=3)
    assert error["code"] == "worker_died"
    assert error["attempts"] == 3
    assert (error["node"], error["type"]) == ("bad", "fault_exit")
    assert "exit code 3" in error["message"]


def test_a_node_that_ends_the_process_once_is_run_again(caller: Caller, tmp_path: Path) -> None:
    job = caller.run(document(bad=("fault_exit_once", {"path": str(tmp_path / "was"), "value": 5})))
    assert (job["state"], job["attempts"], job["outputs"][0]["value"]) == ("done", 1, 5)
    events = caller.events(job["id"])
    assert_one_end(events)
    # It had to wait for the worker that came after, and is told so before the nodes that run there.
    told = [event["event"] for event in events if event["event"] in {"worker_started", "node_started"}]
    assert told[-2:] == ["worker_started", "node_started"], told
    [started] = [event for event in events if event["event"] == "worker_started"][-1:]
    assert (started["worker"], started["node"]) == (0, None)
    assert 0 < started["seconds"] < 60
    assert "worker_started" not in [event["event"] for event in caller.events(caller.run(simple(7))["id"])]


def test_a_crash_is_told_by_its_signal(caller: Caller) -> None:
    error = failure(caller, "fault_crash")
    assert (error["code"], error["node"]) == ("worker_died", "bad")
    assert "SIGSEGV" in error["message"]


def test_a_node_that_keeps_pythons_lock_is_ended(caller: Caller) -> None:
    error = failure(caller, "fault_hang")
    assert (error["exception"], error["node"], error["attempts"]) == ("WorkerHung", "bad", 0)


def test_a_node_that_fills_memory_fails_alone(caller: Caller) -> None:
    error = failure(caller, "fault_memory", value=40)
    assert (error["exception"], error["node"]) == ("MemoryError", "bad")


def test_what_fails_says_no_path_and_no_traceback(caller: Caller, tmp_path: Path) -> None:
    error = failure(caller, "fault_raise", message=f"cannot read {tmp_path}/secret")
    assert error["exception"] == "ValueError"
    assert str(tmp_path) not in error["message"]
    assert "cannot read" in error["message"]


def test_bytes_that_are_no_text_may_be_printed(caller: Caller) -> None:
    assert caller.run(document(a=("fault_print", {"count": 5})))["state"] == "done"
    assert caller.run(simple(1))["state"] == "done"


def test_what_a_node_changes_of_the_process_is_put_back(caller: Caller) -> None:
    changed = caller.run(document(a=("fault_change", {"folder": "/"})))
    assert changed["state"] == "done"
    assert caller.run(document(a=("fault_look", {})))["outputs"][0]["value"] == changed["outputs"][0]["value"]


def test_no_number_is_told_as_json_can(caller: Caller) -> None:
    assert caller.run(document(a=("fault_nan", {})))["outputs"][0]["value"] == "nan"


def test_a_cancel_that_a_node_does_not_hear_ends_its_process(caller: Caller, tmp_path: Path) -> None:
    from tests.server.faults.calling import until

    path = tmp_path / "runs"
    id = caller.submit(document(a=("fault_deaf", {"path": str(path)})))
    until(path.exists, "the node to run")
    caller.post(f"jobs/{id}/cancel")
    job = caller.ended(id)
    assert (job["state"], job["attempts"], job["error"]) == ("cancelled", 0, None)
    assert caller.run(simple(2))["state"] == "done"
    assert_one_end(caller.events(id))
