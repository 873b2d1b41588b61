"""Many tasks at a store: they share commits, get what is theirs, and may be gone when it comes."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine, Sequence
from pathlib import Path
from typing import Any

import pytest

from tests.server.store.conftest import NOW, telling
from weft.server.store.desk import Desk
from weft.server.store.protocol import Closed, Conflict, JobStore, Missing, NoSpace, QueueFull
from weft.server.store.records import Claim, Ending, Job, Request
from weft.server.store.sqlite import SqliteStore


class Gated(SqliteStore):
    """Counts its transactions, and makes none before it may."""

    def __init__(self, file: Path) -> None:
        self.may = threading.Event()
        self.may.set()
        self.began = threading.Event()
        self.batches: list[int] = []
        super().__init__(file, most_queued=2_000)

    def apply(self, calls: Sequence[Callable[[JobStore], Any]]) -> list[Any]:
        self.began.set()
        self.may.wait(60)
        self.batches.append(len(calls))
        return super().apply(calls)

    def hold(self) -> None:
        """Let the next transaction wait."""
        self.may.clear()
        self.began.clear()


def at_desk(tmp_path: Path, work: Callable[[Desk, Gated], Coroutine[Any, Any, None]]) -> Gated:
    """Do some work at a desk and close it; the store, which is closed."""
    store = Gated(tmp_path / "weft.sqlite")

    async def all_of_it() -> None:
        desk = Desk(store)
        try:
            await work(desk, store)
        finally:
            store.may.set()
            await desk.close()

    asyncio.run(all_of_it())
    return store


def one(title: str = "", **fields: Any) -> list[Request]:
    return [Request("{}", title=title, **fields)]


async def begun(store: Gated) -> None:
    """Wait until the writer is in a transaction that it may not make yet."""
    while not store.began.is_set():
        await asyncio.sleep(0.001)


async def turns(count: int = 5) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


def test_many_submits_share_a_commit(tmp_path: Path) -> None:
    async def work(desk: Desk, store: Gated) -> None:
        store.hold()
        first = asyncio.create_task(desk.submit(one("first"), NOW))
        await begun(store)
        others = [asyncio.create_task(desk.submit(one(str(number)), NOW)) for number in range(100)]
        await turns()
        store.may.set()
        results = await asyncio.gather(first, *others)
        assert [job.title for [(job, _)] in results] == ["first", *map(str, range(100))]
        assert [job.position for [(job, _)] in results] == list(range(101)), "in the order in which they came"

    assert at_desk(tmp_path, work).batches == [1, 100]


def test_a_transaction_does_not_grow_without_end(tmp_path: Path) -> None:
    async def work(desk: Desk, store: Gated) -> None:
        await asyncio.gather(*(desk.submit(one(), NOW) for _ in range(600)))
        assert (await desk.counts())["queued"] == 600

    store = at_desk(tmp_path, work)
    assert sum(store.batches) == 600
    assert max(store.batches) <= 256


def test_every_method_is_there(tmp_path: Path) -> None:
    async def work(desk: Desk, store: Gated) -> None:
        [(job, new)] = await desk.submit(one("a", tags=("t",)), NOW, queued=telling("queued"))
        [(other, _)] = await desk.submit(one("b"), NOW)
        assert new
        assert await desk.get(job.id) == job
        assert await desk.document(job.id) == "{}"
        assert [each.title for each in await desk.list(limit=1)] == ["b"]
        assert (await desk.move(other.id, before=job.id)).position == 0
        assert (await desk.cancel(other.id, NOW, telling("c"))).state == "cancelled"
        await desk.pause(True)
        assert await desk.paused()
        assert await desk.claim("server", NOW) is None
        await desk.pause(False)
        claim = await desk.claim("server", NOW, models=("m",))
        assert claim is not None
        assert await desk.record(job.id, claim.epoch, ["1"], (0, 0, 1)) == 2
        assert await desk.events(job.id, since=1) == ["1"]
        assert await desk.cancelling("server") == []
        assert (await desk.give_back(job.id, claim.epoch, died=True, now=NOW)).attempts == 1
        assert await desk.oldest_queued() == NOW
        assert await desk.claim("gone", NOW) is not None
        [claim] = await desk.abandoned("server")
        assert (await desk.end(job.id, claim.epoch, Ending("done"), NOW)).state == "done"
        assert await desk.named_files() == set()
        assert await desk.delete(job.id) == []
        assert await desk.sweep(NOW) == 0
        assert (await desk.counts())["cancelled"] == 1

    at_desk(tmp_path, work)


def test_each_task_gets_its_own_error(tmp_path: Path) -> None:
    async def work(desk: Desk, store: Gated) -> None:
        store.hold()
        kept = asyncio.create_task(desk.submit(one("kept", key="k", digest="a"), NOW))
        await begun(store)

        def stops(inner: JobStore) -> None:
            next(iter(()))

        calls: list[Coroutine[Any, Any, object]] = [
            desk.delete("x"),
            desk.submit(one(key="k", digest="b"), NOW),
            desk.submit(one("too") * 2_001, NOW),
            desk.write(stops),
            desk.submit(one("last"), NOW),
            desk.get("x"),
        ]
        tasks = [asyncio.create_task(call) for call in calls]
        await turns()
        store.may.set()
        results = await asyncio.gather(kept, *tasks, return_exceptions=True)
        kinds = [type(result) for result in results]
        assert kinds == [list, Missing, Conflict, QueueFull, RuntimeError, list, Missing]
        assert [job.title for job in await desk.list()] == ["last", "kept"]

    assert at_desk(tmp_path, work).batches[:2] == [1, 5]


def test_a_task_that_is_cancelled_loses_and_doubles_nothing(tmp_path: Path) -> None:
    async def work(desk: Desk, store: Gated) -> None:
        store.hold()
        running = asyncio.create_task(desk.submit(one("in a transaction"), NOW))
        await begun(store)
        waiting = asyncio.create_task(desk.submit(one("handed over"), NOW))
        never = asyncio.create_task(desk.submit(one("not begun"), NOW))
        never.cancel()
        await turns()
        running.cancel()
        waiting.cancel()
        results = await asyncio.gather(running, waiting, never, return_exceptions=True)
        assert [type(result) for result in results] == [asyncio.CancelledError] * 3
        store.may.set()
        await desk.submit(one("after"), NOW)
        assert [job.title for job in await desk.list()] == ["after", "handed over", "in a transaction"]

    at_desk(tmp_path, work)


@pytest.mark.parametrize("moment", ["before", "in the transaction", "result on its way"])
def test_a_job_that_is_claimed_for_nobody_returns_to_the_queue(tmp_path: Path, moment: str) -> None:
    async def work(desk: Desk, store: Gated) -> None:
        [(job, _)] = await desk.submit(one(), NOW)
        store.hold()
        blocked = asyncio.create_task(desk.pause(False)) if moment == "before" else None
        if blocked is not None:
            await begun(store)
        task = asyncio.create_task(desk.claim("server", NOW))
        if blocked is None:
            await begun(store)
        await turns()
        if moment == "result on its way":
            # The claim is made and its result waits in this loop, which does not turn meanwhile.
            store.may.set()
            while store.get(job.id).state != "running":
                pass
            asyncio.get_running_loop().call_soon(task.cancel)
        else:
            task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        store.may.set()
        await desk.pause(False)  # behind whatever gives it back
        await turns()
        await desk.pause(False)
        back = await desk.get(job.id)
        assert (back.state, back.attempts, back.position) == ("queued", 0, 0)
        claim = await desk.claim("server", NOW)
        assert claim is not None
        assert claim.job.id == job.id

    at_desk(tmp_path, work)


def test_jobs_that_are_claimed_together_for_nobody_all_return(tmp_path: Path) -> None:
    async def work(desk: Desk, store: Gated) -> None:
        await desk.submit(one() * 3, NOW)
        store.hold()
        task = asyncio.create_task(desk.claim("server", NOW, also=lambda document: True))
        await begun(store)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        store.may.set()
        for _ in range(2):  # behind whatever gives them back
            await desk.pause(False)
            await turns()
        assert [job.state for job in await desk.list()] == ["queued"] * 3

    at_desk(tmp_path, work)


def test_who_is_woken_by_a_submit_claims_in_its_transaction(tmp_path: Path) -> None:
    async def work(desk: Desk, store: Gated) -> None:
        woken = asyncio.Event()

        async def worker() -> Claim | None:
            async with asyncio.timeout(60):
                await woken.wait()
            return await asyncio.create_task(desk.claim("server", NOW))

        idle = asyncio.create_task(worker())
        await turns()
        submitting = asyncio.ensure_future(desk.submit(one(), NOW))
        woken.set()
        [(job, _)], claim = await submitting, await idle
        assert claim is not None
        assert (job.state, claim.job.id) == ("queued", job.id)

    assert at_desk(tmp_path, work).batches == [2]


def test_closing_takes_what_was_asked_for_in_the_same_moment(tmp_path: Path) -> None:
    async def work(desk: Desk, store: Gated) -> None:
        tasks = [asyncio.create_task(desk.submit(one(str(number)), NOW)) for number in range(3)]
        await turns(1)
        await desk.close()
        assert [len(await task) for task in tasks] == [1, 1, 1]

    at_desk(tmp_path, work)


def test_a_claim_is_undone_when_its_task_is_cancelled_after_the_result_was_set(tmp_path: Path) -> None:
    """Between the moment when the future has its result and the one when the task goes on."""

    async def work(desk: Desk, store: Gated) -> None:
        [(job, _)] = await desk.submit(one(), NOW)
        task = asyncio.create_task(desk.claim("server", NOW))
        await turns(1)
        settle = desk._settle

        def settle_and_cancel(entries: Any) -> None:
            settle(entries)
            task.cancel()

        desk._settle = settle_and_cancel  # type: ignore[method-assign]
        with pytest.raises(asyncio.CancelledError):
            await task
        desk._settle = settle  # type: ignore[method-assign]
        await desk.pause(False)
        assert (await desk.get(job.id)).state == "queued"

    store = Gated(tmp_path / "weft.sqlite")
    store.hold()

    async def all_of_it() -> None:
        desk = Desk(store)
        store.may.set()
        await work(desk, store)
        await desk.close()

    asyncio.run(all_of_it())


def test_closing_waits_for_what_was_accepted(tmp_path: Path) -> None:
    async def work(desk: Desk, store: Gated) -> None:
        store.hold()
        tasks = [asyncio.create_task(desk.submit(one(str(number)), NOW)) for number in range(50)]
        await begun(store)
        closing = asyncio.create_task(desk.close())
        await turns()
        for call in (desk.submit(one("late"), NOW), desk.list()):
            with pytest.raises(Closed):
                await call
        assert not closing.done()
        store.may.set()
        await closing
        results = await asyncio.gather(*tasks)
        assert [job.title for [(job, _)] in results] == [str(number) for number in range(50)]

    file = at_desk(tmp_path, work).file
    store = SqliteStore(file)
    assert len(store.list(limit=100)) == 50
    store.close()


def test_what_is_written_is_read_at_once(tmp_path: Path) -> None:
    async def work(desk: Desk, store: Gated) -> None:
        async def client(number: int) -> None:
            for count in range(10):
                [(job, _)] = await desk.submit(one(f"{number} {count}"), NOW)
                assert (await desk.get(job.id)).title == f"{number} {count}"

        await asyncio.gather(*(client(number) for number in range(10)))

    at_desk(tmp_path, work)


def test_a_call_too_big_for_the_disk_fails_alone(tmp_path: Path) -> None:
    async def work(desk: Desk, store: Gated) -> None:
        [(job, _), _] = await desk.submit(one() * 2, NOW)
        claim = await desk.claim("server", NOW)
        assert claim is not None
        store._connection.execute("PRAGMA max_page_count = 1")
        store.hold()
        blocked = asyncio.create_task(desk.pause(False))
        await begun(store)
        tasks: list[asyncio.Task[Any]] = [
            asyncio.create_task(desk.record(job.id, claim.epoch, [f'"{"x" * 100_000}"'], (0, 0, 1))),
            asyncio.create_task(desk.end(job.id, claim.epoch, Ending("done"), NOW)),
        ]
        await turns()
        store.may.set()
        await blocked
        too_big, ended = await asyncio.gather(*tasks, return_exceptions=True)
        assert isinstance(too_big, NoSpace)
        assert isinstance(ended, Job)
        assert (await desk.get(job.id)).state == "done"

    at_desk(tmp_path, work)


def test_workers_at_a_desk_share_the_queue(tmp_path: Path) -> None:
    async def work(desk: Desk, store: Gated) -> None:
        await desk.submit(one() * 60, NOW)
        seen: list[str] = []

        async def worker() -> None:
            claim: Claim | None
            while (claim := await desk.claim("server", NOW)) is not None:
                seen.append(claim.job.id)
                await desk.record(claim.job.id, claim.epoch, ["{}"], (0, 0, 1))
                await desk.end(claim.job.id, claim.epoch, Ending("done", of=1, ran=1), NOW)

        await asyncio.gather(*(worker() for _ in range(6)))
        assert len(seen) == len(set(seen)) == 60
        assert (await desk.counts())["done"] == 60

    assert max(at_desk(tmp_path, work).batches) > 1
