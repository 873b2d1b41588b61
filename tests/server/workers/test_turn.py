"""One attempt at a job: its events in order and in the store, its end published once."""

from __future__ import annotations

import asyncio
import errno
import json
from pathlib import Path
from typing import Any

import pytest

from tests.server.workers.fakes import Stage, Work, dies, stage
from weft.engine.errors import Elsewhere
from weft.server.files.errors import NoSpace
from weft.server.store.protocol import Unavailable
from weft.server.store.records import Job

NODE = {"node": "n"}
STEPS: tuple[dict[str, Any], ...] = (
    {"event": "job_started", "nodes": 3},
    {"event": "node_started", **NODE},
    {"event": "node_progress", "step": 1, "total": 2, "message": "", **NODE},
    {"event": "node_report", "kind": "words", "data": 1, **NODE},
    {"event": "node_finished", "seconds": 0.1, **NODE},
    {"event": "node_cached", "tier": "disk", "node": "m"},
)


async def tells(work: Work) -> str:
    work.tell(*STEPS[:3])
    work.tell(*STEPS[3:])
    return work.end(ran=2, cached=1)


def played(folder: Path, play: Any, **rules: Any) -> tuple[Job, list[dict[str, Any]], Stage]:
    """A job that a worker runs so."""

    async def go() -> tuple[Job, list[dict[str, Any]], Stage]:
        async with stage(folder, **rules) as on:
            on.play = play
            id = await on.submit()
            return await on.ended(id), await on.events(id), on

    return asyncio.run(go())


def test_state_events_are_stored_in_order_and_progress_passes(tmp_path: Path) -> None:
    job, events, on = played(tmp_path, tells)
    kept = [step["event"] for step in STEPS if step["event"] != "node_progress"]
    assert [event["event"] for event in events] == ["job_queued", *kept, "job_finished"]
    assert [event["state"] for event in events] == list(range(len(events)))
    assert (job.done, job.cached, job.of, job.ran) == (2, 1, 3, 2)
    assert [told[0] for told in on.hall.told].count("node_progress") == 1
    assert [told[2] for told in on.hall.told if told[0] == "state"] == events[1:]
    assert on.hall.told[-1] == ("ended", job.id, None)


def test_later_attempts_count_on_from_what_clients_saw(tmp_path: Path) -> None:
    async def once(work: Work) -> str:
        if len(on_works) == 0:
            on_works.append(work)
            work.tell(*STEPS)
            raise Elsewhere("WorkerDied", "it was killed")
        return await tells(work)

    on_works: list[Work] = []
    job, events, _ = played(tmp_path, once)
    assert (job.state, job.attempts, job.done, job.of) == ("done", 1, 2, 3)
    numbers = [event["seq"] for event in events]
    assert numbers == sorted(set(numbers))
    assert [event["state"] for event in events] == list(range(len(events)))


def test_the_third_death_fails_the_job_with_the_node_that_ran(tmp_path: Path) -> None:
    async def poison(work: Work) -> str:
        work.mark("n")
        return await dies(work)

    job, events, on = played(tmp_path, poison)
    assert (job.state, job.attempts) == ("failed", 3)
    assert job.error is not None
    assert (job.error["code"], job.error["node"], job.error["type"]) == ("worker_died", "n", "kind")
    assert events[-1]["event"] == "job_failed"
    assert events[-1]["error"] == job.error
    assert on.hall.told[-1][0] == "ended"


def test_the_mark_of_one_job_is_not_the_next_ones(tmp_path: Path) -> None:
    async def go() -> Job:
        async with stage(tmp_path, deaths=1) as on:

            async def poison(work: Work) -> str:
                work.mark("n")
                return await dies(work)

            on.play = poison
            await on.ended(await on.submit())
            on.play = dies  # before it said what it does
            return await on.ended(await on.submit())

    job = asyncio.run(go())
    assert job.error is not None
    assert job.error["node"] == ""


@pytest.mark.parametrize("name", ["WorkerHung", "MemoryError", "TimeoutError"])
def test_a_limit_fails_the_job_at_once(tmp_path: Path, name: str) -> None:
    async def over(work: Work) -> str:
        work.mark("n")
        raise Elsewhere(name, "over the limit", "Traceback: /somewhere/secret.py")

    job, _, _ = played(tmp_path, over)
    assert (job.state, job.attempts) == ("failed", 0)
    assert job.error == {
        "node": "n", "type": "kind", "exception": name, "message": "over the limit", "traceback": "",
    }  # fmt: skip


def test_errors_carry_no_traceback(tmp_path: Path) -> None:
    error = {"node": "n", "type": "kind", "exception": "ValueError", "message": "no", "traceback": "File /x"}

    async def fails(work: Work) -> str:
        work.tell({"event": "node_failed", "error": error, **NODE})
        return work.end("failed", error=error)

    job, events, _ = played(tmp_path, fails)
    assert job.error == error | {"traceback": ""}
    assert "File /x" not in json.dumps(events)


@pytest.mark.parametrize(
    ("fault", "code"),
    [
        (OSError(errno.ENOSPC, "No space left"), "no_space"),
        (NoSpace("full"), "no_space"),
        (PermissionError(errno.EACCES, "not allowed"), "output_lost"),
    ],
)
def test_a_file_that_cannot_be_kept_fails_the_job_and_says_so(tmp_path: Path, fault: Exception, code: str) -> None:
    async def go() -> tuple[Job, Job]:
        async with stage(tmp_path) as on:

            async def writes(work: Work) -> str:
                path = Path(work.order["home"]["out"]) / "a.txt"
                path.write_text("x")
                work.tell({"event": "output", "kind": "file", "ref": str(path), **NODE})
                return work.end()

            on.play, on.shelf.fault = writes, fault
            first = await on.ended(await on.submit())
            on.shelf.fault = None
            return first, await on.ended(await on.submit())

    failed, after = asyncio.run(go())
    assert failed.state == "failed"
    assert failed.error is not None
    assert (failed.error["code"], failed.error["node"], failed.outputs) == (code, "n", ())
    assert (after.state, after.outputs[0].name, after.outputs[0].file) == ("done", "a.txt", "sha256:a.txt")


def test_values_come_with_the_end(tmp_path: Path) -> None:
    async def gives(work: Work) -> str:
        work.tell({"event": "output", "kind": "int", "ref": "n.value", **NODE})
        return work.end(values={"n.value": 7})

    job, _, _ = played(tmp_path, gives)
    assert [(output.kind, output.name, output.value) for output in job.outputs] == [("value", "value", 7)]


@pytest.mark.parametrize("method", ["record", "end"])
def test_what_the_store_cannot_take_is_run_again(tmp_path: Path, method: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("weft.server.workers.dispatcher.WATCH_SECONDS", 0.01)

    async def go() -> tuple[Job, list[dict[str, Any]]]:
        async with stage(tmp_path) as on:
            on.play, real, faults = tells, getattr(on.desk, method), [1]

            async def faulty(*arguments: Any, **more: Any) -> Any:
                if faults and (method == "end" or '"node_started"' in str(arguments)):
                    faults.pop()
                    raise Unavailable("locked")
                return await real(*arguments, **more)

            setattr(on.desk, method, faulty)
            id = await on.submit()
            return await on.ended(id), await on.events(id)

    job, events = asyncio.run(go())
    assert (job.state, job.attempts) == ("done", 0)
    assert [event["state"] for event in events] == list(range(len(events)))
    assert [event["event"] for event in events].count("job_finished") == 1
    numbers = [event["seq"] for event in events]
    assert numbers == sorted(set(numbers))
