"""Who gets which job, and what becomes of jobs when the server or a worker ends."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from tests.server.workers.fakes import Process, Stage, Work, dies, does_nothing, stage, waits
from weft.server.store.protocol import Unavailable


def process(on: Stage, slot: int = 0) -> Process:
    found = on.dispatcher.processes[slot]
    assert isinstance(found, Process)
    return found


async def deaf(work: Work) -> str:
    """A job that hears no cancel."""
    await asyncio.sleep(3600)
    return work.end()


@pytest.mark.parametrize("play", [waits, deaf])
def test_what_runs_when_the_server_ends_returns_to_the_queue(tmp_path: Path, play: Any) -> None:
    async def go() -> None:
        async with stage(tmp_path) as on:
            on.play = play
            first, second = await on.submit(), await on.submit()
            await on.comes_to(first, "running")
            while not on.works:
                await asyncio.sleep(0.001)
            on.dispatcher.hurry()
            await on.dispatcher.close(1000.0)
            for id in (first, second):
                job = await on.desk.get(id)
                assert (job.state, job.attempts) == ("queued", 0)
            assert process(on).starts == 1
            on.another_server("second")
            on.play = does_nothing
            await on.dispatcher.start()
            for id in (first, second):
                assert (await on.ended(id)).state == "done"

    asyncio.run(go())


def test_what_ends_in_time_ends_as_it_would(tmp_path: Path) -> None:
    async def go() -> None:
        async with stage(tmp_path) as on:
            gate = asyncio.Event()

            async def gated(work: Work) -> str:
                await gate.wait()
                return work.end()

            on.play = gated
            id = await on.submit()
            while not on.works:
                await asyncio.sleep(0.001)
            closing = asyncio.create_task(on.dispatcher.close(1000.0))
            await asyncio.sleep(0.01)
            gate.set()
            await closing
            assert (await on.desk.get(id)).state == "done"

    asyncio.run(go())


def test_a_job_that_is_claimed_while_the_server_ends_is_given_back(tmp_path: Path) -> None:
    async def go() -> None:
        async with stage(tmp_path, starts=False) as on:
            real, claiming, go_on = on.desk.claim, asyncio.Event(), asyncio.Event()

            async def slow(*arguments: Any, **more: Any) -> Any:
                claim = await real(*arguments, **more)
                claiming.set()
                await go_on.wait()
                return claim

            on.desk.claim = slow  # type: ignore[method-assign]
            id = await on.submit()
            await on.dispatcher.start()
            await claiming.wait()
            closing = asyncio.create_task(on.dispatcher.close(0.0))
            await asyncio.sleep(0)
            go_on.set()
            await closing
            on.desk.claim = real  # type: ignore[method-assign]
            assert (await on.desk.get(id)).state in {"queued", "running"}
            on.another_server("second")
            await on.dispatcher.start()
            job = await on.ended(id)
            assert (job.state, job.attempts, len(on.works)) == ("done", 0, 1)

    asyncio.run(go())


def test_after_an_unclean_end_jobs_are_run_again_and_cancelled_ones_end(tmp_path: Path) -> None:
    async def go() -> None:
        async with stage(tmp_path, workers=2) as on:
            on.play = deaf
            first, second = await on.submit(), await on.submit()
            while len(on.works) < 2:
                await asyncio.sleep(0.001)
            await on.desk.cancel(second, 1.0, lambda job, state: "{}")
            on.another_server("second")
            on.play = does_nothing
            await on.dispatcher.start()
            again, gone = await on.ended(first), await on.ended(second)
            assert (again.state, again.attempts, gone.state) == ("done", 0, "cancelled")
            events = await on.events(second)
            assert [event["state"] for event in events] == list(range(len(events)))
            assert events[-1]["event"] == "job_cancelled"

    asyncio.run(go())


def test_a_cancel_reaches_what_runs_and_what_is_about_to(tmp_path: Path) -> None:
    async def go() -> None:
        async with stage(tmp_path) as on:
            on.play = waits
            id = await on.submit()
            while id not in on.dispatcher.turns:
                await asyncio.sleep(0)
            on.dispatcher.cancel(id)
            job = await on.ended(id)
            assert (job.state, job.error) == ("cancelled", None)

    asyncio.run(go())


def test_one_wish_wakes_every_idle_worker(tmp_path: Path) -> None:
    # With the wake-up of one worker lost, its job would wait for seconds, and no other one ends before it begins.
    async def go() -> None:
        async with stage(tmp_path, workers=3) as on:
            together = asyncio.Barrier(3)

            async def meet(work: Work) -> str:
                await together.wait()
                return work.end()

            on.play = meet
            await asyncio.sleep(0.01)
            for _ in range(5):
                ids = await asyncio.gather(*(on.submit() for _ in range(3)))
                async with asyncio.timeout(3):
                    for id in ids:
                        await on.ended(id)

    asyncio.run(go())


def test_a_worker_is_replaced_after_so_many_jobs_and_when_it_is_fat(tmp_path: Path) -> None:
    async def go() -> None:
        async with stage(tmp_path, jobs_per_worker=3, worker_bytes=1000) as on:
            for _ in range(7):
                await on.ended(await on.submit())
            worker = process(on)
            while worker.starts < 3:
                await asyncio.sleep(0.001)

            async def grows(work: Work) -> str:
                worker.bytes_taken = 1001
                return work.end()

            on.play = grows
            await on.ended(await on.submit())
            while worker.starts < 4:
                await asyncio.sleep(0.001)
            on.play = does_nothing
            await on.ended(await on.submit())
            assert worker.starts == 4

    asyncio.run(go())


def test_a_worker_takes_the_job_whose_model_it_holds(tmp_path: Path) -> None:
    async def go() -> list[str]:
        async with stage(tmp_path) as on:
            order: list[str] = []

            async def notes(work: Work) -> str:
                order.append((await on.desk.get(work.order["job"])).model)
                return work.end()

            on.play = notes
            await on.ended(await on.submit(model="a"))
            await on.ended(await on.submit())
            await on.desk.pause(True)
            ids = [await on.submit(model=model) for model in "bcbacb"]
            await on.desk.pause(False)
            on.dispatcher.wake()
            for id in ids:
                await on.ended(id)
            assert on.dispatcher.status()[0]["models"] == ["a", "b", "c"]
            return order

    # After the one that it holds, the first in the queue; what it has had once it holds.
    assert asyncio.run(go()) == ["a", "", "a", "b", "b", "b", "c", "c"]


def test_a_worker_that_died_holds_nothing(tmp_path: Path) -> None:
    from weft.engine.errors import Elsewhere

    async def go() -> None:
        async with stage(tmp_path, deaths=1) as on:
            await on.ended(await on.submit(model="a"))

            async def dies(work: Work) -> str:
                raise Elsewhere("WorkerDied", "it was killed")

            on.play = dies
            await on.ended(await on.submit(model="b"))
            while process(on).starts < 2:
                await asyncio.sleep(0.001)
            assert on.dispatcher.status()[0]["models"] == []

    asyncio.run(go())


def test_a_document_that_cannot_be_begun_fails_and_the_queue_goes_on(tmp_path: Path) -> None:
    from weft.server.store.records import Request

    async def go() -> None:
        async with stage(tmp_path, deaths=2) as on:
            [(bad, _)] = await on.desk.submit([Request('{"nodes": {"n": {}}}')], 1.0)
            on.dispatcher.wake()
            job = await on.ended(bad.id)
            assert job.state == "failed"
            assert job.error is not None
            assert job.error["code"] == "internal_error"
            assert (await on.events(bad.id))[-1]["event"] == "job_failed"
            assert (await on.ended(await on.submit())).state == "done"

    asyncio.run(go())


def test_a_store_that_cannot_be_read_for_a_while_ends_no_worker(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def go() -> None:
        async with stage(tmp_path, starts=False) as on:
            real, faults = on.desk.claim, [1]

            async def faulty(*arguments: Any, **more: Any) -> Any:
                if faults:
                    faults.pop()
                    raise Unavailable("locked")
                return await real(*arguments, **more)

            on.desk.claim = faulty  # type: ignore[method-assign]
            await on.dispatcher.start()
            assert (await on.ended(await on.submit())).state == "done"

    asyncio.run(go())


def test_a_job_that_waited_for_its_worker_is_told_so(tmp_path: Path) -> None:
    async def go() -> None:
        async with stage(tmp_path, starts=False) as on:
            early, next_one = await on.submit(), await on.submit()
            await on.dispatcher.start()

            async def dies_once(work: Work) -> str:
                return await (dies(work) if len(on.works) == 4 else does_nothing(work))

            on.play = dies_once
            for id in (early, next_one):
                await on.ended(id)
            while process(on).awaited or on.dispatcher.turns:
                await asyncio.sleep(0.001)
            late, again = await on.submit(), await on.submit()
            for id in (late, again):
                await on.ended(id)

            async def told(id: str) -> list[str]:
                return [event["event"] for event in await on.events(id)]

            # The first one of a new worker, and the one that came back when a worker died of it.
            assert "worker_started" in await told(early)
            assert (await told(again)).count("worker_started") == 1
            assert "worker_started" not in [*await told(next_one), *await told(late)]

    asyncio.run(go())


def test_a_job_that_comes_when_the_worker_is_there_waited_for_nobody(tmp_path: Path) -> None:
    async def go() -> None:
        async with stage(tmp_path) as on:
            id = await on.submit()
            await on.ended(id)
            assert "worker_started" not in [event["event"] for event in await on.events(id)]

    asyncio.run(go())


def test_a_worker_that_ends_while_it_has_nothing_to_do_is_started_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("weft.server.workers.dispatcher.BACKSTOP_SECONDS", 0.01)

    async def go() -> None:
        async with stage(tmp_path) as on:
            process(on).alive = False
            async with asyncio.timeout(30):
                while not process(on).alive or process(on).awaited:
                    await asyncio.sleep(0.001)
            id = await on.submit()
            await on.ended(id)
            assert "worker_started" not in [event["event"] for event in await on.events(id)]

    asyncio.run(go())
