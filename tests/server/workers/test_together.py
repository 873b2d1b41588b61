"""Quick jobs that a worker does several at a time: each has its own end, and none waits for a slow one."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from tests.server.workers.fakes import DOCUMENT, Process, Stage, Work, waits
from weft.engine.errors import Elsewhere
from weft.server.store.records import Job, Request
from weft.server.workers import together
from weft.server.workers.board import Board
from weft.server.workers.inside import ENDED, jobs
from weft.server.workers.quick import MOST_TOGETHER, TOGETHER_SECONDS, Quick

Each = Callable[[Work, int], Awaitable[str | None]]
"""What a worker does for one of several jobs, by its place; None where it comes to no end."""
OTHER = json.dumps({"weft": 1, "nodes": {"n": {"type": "other", "inputs": {}}}})


class Crew(Stage):
    """A stage whose worker takes several jobs at once, as `inside.jobs` does.

    Attributes:
        each: what it does for each of them.
        rounds: the ids of the jobs of each call.
        began: the ids of those that were begun, in order.
    """

    def __init__(self, folder: Path, workers: int = 1, **rules: Any) -> None:
        super().__init__(folder, workers, **rules)
        self.each: Each = ends
        self.rounds: list[list[str]] = []
        self.began: list[str] = []
        self.play = self._alone

    async def _alone(self, work: Work) -> str:
        self.rounds.append([work.order["job"]])
        self.began.append(work.order["job"])
        return await self.each(work, 0) or ""

    async def know(self, document: str = DOCUMENT, took: float = 0.001) -> None:
        """Have it known how long such jobs take."""
        for _ in range(4):
            self.means.quick.note(document, took)

    async def queue(self, count: int, **fields: Any) -> list[str]:
        """Queue jobs while nothing is claimed; their ids."""
        await self.desk.pause(True)
        ids = [await self.submit(**fields) for _ in range(count)]
        await self.desk.pause(False)
        return ids


class CrewProcess(Process):
    """A worker that knows `jobs`."""

    stage: Crew

    async def call(self, node: Any, inputs: dict[str, str], cancel: Any, report: Any) -> str:
        """See `WorkerProcess`."""
        if node is not jobs:
            return await super().call(node, inputs, cancel, report)
        self.calls += 1
        order = json.loads(inputs["order"])
        self.stage.rounds.append([one["job"] for one in order["jobs"]])
        try:
            with Board.open(order["board"], len(order["jobs"])) as board:
                for place, one in enumerate(order["jobs"]):
                    if cancel.cancelled or not board.begin(place):
                        continue
                    self.stage.began.append(one["job"])
                    order_of_one = {**one, "home": {**order["home"], "out": one["out"]}, "marker": order["marker"]}
                    work = Work(order_of_one, cancel, _naming(report, one["job"]))
                    if (summary := await self.stage.each(work, place)) is not None:
                        report(ENDED, {"ended": {str(place): summary}}, b"")
        except Elsewhere:
            self.alive = False
            raise
        return "{}"


def _naming(report: Any, job: str) -> Callable[..., object]:
    return lambda kind, data, body: report(kind, {**data, "job": job}, body)


async def ends(work: Work, place: int) -> str:
    """A job that is done at once."""
    return work.end(took=0.001)


def crew(folder: Path, play: Callable[[Crew], Awaitable[None]], *, workers: int = 1, **rules: Any) -> Crew:
    """Let a crew do what `play` wants of it."""
    on = Crew(folder, workers, **rules)
    on.dispatcher.processes = [CrewProcess(slot, on) for slot in range(workers)]  # type: ignore[misc]

    async def go() -> None:
        try:
            async with asyncio.timeout(60):
                await on.dispatcher.start()
                await play(on)
        finally:
            await on.dispatcher.close(0.0)
            await on.desk.close()

    asyncio.run(go())
    return on


def started(on: Crew) -> None:
    """Let the workers look into the queue."""
    on.dispatcher.wake()


async def all_ended(on: Crew, ids: list[str]) -> list[Job]:
    return [await on.ended(id) for id in ids]


def test_quick_jobs_are_done_in_one_call_each_with_its_own_end(tmp_path: Path) -> None:
    async def play(on: Crew) -> None:
        await on.know()
        ids = await on.queue(5)
        started(on)
        found = await all_ended(on, ids)
        assert [(job.state, job.attempts) for job in found] == [("done", 0)] * 5
        for id in ids:
            events = await on.events(id)
            assert [event["event"] for event in events] == ["job_queued", "job_finished"]
            assert [event["state"] for event in events] == [0, 1]
        assert on.rounds == [ids]
        assert on.dispatcher.status()[0]["jobs"] == 5

    crew(tmp_path, play)


def test_a_kind_of_which_nothing_is_known_is_done_alone(tmp_path: Path) -> None:
    async def play(on: Crew) -> None:
        ids = await on.queue(8)
        started(on)
        await all_ended(on, ids)
        assert [len(round) for round in on.rounds[:2]] == [1, 1], "the first one of a kind loads and imports"
        assert len(on.rounds[-1]) > 1, "it is known by then"

    crew(tmp_path, play)


def test_a_slow_kind_is_done_alone_and_ends_a_round(tmp_path: Path) -> None:
    async def play(on: Crew) -> None:
        await on.know()
        await on.know(OTHER, 10.0)
        await on.desk.pause(True)
        ids = [await on.submit(), await on.submit()]
        [(slow, _)] = await on.desk.submit([Request(OTHER)], 1.0)
        ids += [slow.id, await on.submit(), await on.submit()]
        await on.desk.pause(False)
        started(on)
        await all_ended(on, ids)
        assert on.rounds == [ids[:2], [slow.id], ids[3:]]

    crew(tmp_path, play)


def test_a_round_is_no_longer_than_what_may_wait_for_it(tmp_path: Path) -> None:
    async def play(on: Crew) -> None:
        await on.know(took=TOGETHER_SECONDS / 3.5)
        ids = await on.queue(7)
        started(on)
        await all_ended(on, ids)
        assert len(on.rounds[0]) == 3

    crew(tmp_path, play)
    also = Quick().together()
    assert not also(DOCUMENT)
    quick = Quick()
    for _ in range(3):
        quick.note(DOCUMENT, 0.0)
    also = quick.together()
    assert sum(also(DOCUMENT) for _ in range(100)) == MOST_TOGETHER
    quick.note(DOCUMENT, 3.0)
    assert not quick.together()(DOCUMENT), "the slowest of the last ones counts"


def test_a_job_of_higher_priority_comes_after_the_round_that_runs(tmp_path: Path) -> None:
    async def play(on: Crew) -> None:
        await on.know()
        urgent: list[str] = []

        async def each(work: Work, place: int) -> str:
            if not urgent:
                urgent.append(await on.submit(priority=5))
            return work.end(took=0.001)

        on.each = each
        ids = await on.queue(MOST_TOGETHER + 4)
        started(on)
        await all_ended(on, ids)
        await on.ended(urgent[0])
        assert on.rounds[0] == ids[:MOST_TOGETHER]
        assert on.rounds[1][0] == urgent[0], "before what was queued first"

    crew(tmp_path, play)


def test_a_pause_amid_a_round_lets_it_end_and_holds_what_comes_after_it(tmp_path: Path) -> None:
    async def play(on: Crew) -> None:
        await on.know()

        async def each(work: Work, place: int) -> str:
            if work.order["job"] == ids[0]:
                await on.desk.pause(True)
                later.append(await on.submit(priority=5))
            return work.end(took=0.001)

        on.each = each
        later: list[str] = []
        ids = await on.queue(MOST_TOGETHER + 4)
        started(on)
        found = await all_ended(on, ids[:MOST_TOGETHER])
        assert [(job.state, job.attempts) for job in found] == [("done", 0)] * MOST_TOGETHER, "they ran already"
        while on.dispatcher.turns:
            await asyncio.sleep(0.001)
        for _ in range(3):  # however often the workers look
            on.dispatcher.wake()
            await on.desk.counts()
            await asyncio.sleep(0.002)
        assert on.rounds == [ids[:MOST_TOGETHER]]
        for id in [*ids[MOST_TOGETHER:], *later]:
            assert (await on.desk.get(id)).state == "queued"
        await on.desk.pause(False)
        started(on)
        await all_ended(on, [*ids, *later])
        assert on.began == [*ids[:MOST_TOGETHER], *later, *ids[MOST_TOGETHER:]]

    crew(tmp_path, play)


def test_jobs_that_go_back_amid_a_pause_wait_for_its_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Those behind a job that takes long after all are queued again, and stay so while the queue is paused."""
    monkeypatch.setattr(together, "PATIENCE_SECONDS", 0.02)

    async def play(on: Crew) -> None:
        await on.know()
        gate = asyncio.Event()

        async def each(work: Work, place: int) -> str:
            if work.order["job"] == ids[0]:
                await on.desk.pause(True)
                await gate.wait()
            return work.end(took=0.001)

        on.each = each
        ids = await on.queue(4)
        started(on)
        while not on.began:
            await asyncio.sleep(0.001)
        assert on.rounds == [ids]
        for id in ids[1:]:
            await on.comes_to(id, "queued")
        gate.set()
        assert (await on.ended(ids[0])).state == "done"
        assert on.began == ids[:1]
        assert [(await on.desk.get(id)).state for id in ids[1:]] == ["queued"] * 3
        await on.desk.pause(False)
        started(on)
        found = await all_ended(on, ids)
        assert [(job.state, job.attempts) for job in found] == [("done", 0)] * 4
        assert on.began == ids

    crew(tmp_path, play)


def test_what_is_behind_a_job_that_takes_long_after_all_goes_to_another_worker(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(together, "PATIENCE_SECONDS", 0.02)

    async def play(on: Crew) -> None:
        await on.know()
        gate, slow = asyncio.Event(), asyncio.Event()

        async def each(work: Work, place: int) -> str:
            if not slow.is_set():
                slow.set()
                await gate.wait()
            return work.end(took=0.001)

        on.each = each
        ids = await on.queue(6)
        started(on)
        others = await all_ended(on, ids[1:])  # which they do though the first one runs
        assert [(job.state, job.attempts) for job in others] == [("done", 0)] * 5
        assert (await on.desk.get(ids[0])).state == "running"
        gate.set()
        assert (await on.ended(ids[0])).state == "done"
        assert sorted(on.began) == sorted(ids), "each was begun once"

    crew(tmp_path, play, workers=2)


def test_with_one_worker_they_are_queued_again_until_it_is_free(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(together, "PATIENCE_SECONDS", 0.02)

    async def play(on: Crew) -> None:
        await on.know()
        gate = asyncio.Event()

        async def each(work: Work, place: int) -> str:
            if work.order["job"] == ids[1]:
                await gate.wait()
            return work.end(took=0.001)

        on.each = each
        ids = await on.queue(4)
        started(on)
        while ids[1] not in on.began:
            await asyncio.sleep(0.001)
        for id in ids[2:]:
            await on.comes_to(id, "queued")
        assert (await on.ended(ids[0])).state == "done"
        first = await on.submit(priority=1)
        gate.set()
        await all_ended(on, [*ids, first])
        assert on.began == [ids[0], ids[1], first, ids[2], ids[3]], "by priority, as if nothing had been"

    crew(tmp_path, play)


def test_a_job_that_was_claimed_but_not_begun_is_cancelled_without_the_others(tmp_path: Path) -> None:
    async def play(on: Crew) -> None:
        await on.know()

        async def each(work: Work, place: int) -> str:
            if place == 0:
                await on.desk.cancel(ids[2], 1.0, lambda job, state: "{}")
                on.dispatcher.cancel(ids[2])
                await on.ended(ids[2])  # at once, and not when the others have ended
            assert not work.cancel.cancelled
            return work.end(took=0.001)

        on.each = each
        ids = await on.queue(4)
        started(on)
        states = [job.state for job in await all_ended(on, ids)]
        assert states == ["done", "done", "cancelled", "done"]
        assert on.began == [ids[0], ids[1], ids[3]]
        assert [event["event"] for event in await on.events(ids[2])] == ["job_queued", "job_cancelled"]

    crew(tmp_path, play)


def test_a_job_that_runs_is_cancelled_and_those_behind_it_are_done(tmp_path: Path) -> None:
    async def play(on: Crew) -> None:
        await on.know()

        async def each(work: Work, place: int) -> str:
            if work.order["job"] == ids[1]:
                on.dispatcher.cancel(ids[1])
                return await waits(work)
            return work.end(took=0.001)

        on.each = each
        ids = await on.queue(4)
        started(on)
        found = await all_ended(on, ids)
        assert [(job.state, job.attempts) for job in found] == [
            ("done", 0), ("cancelled", 0), ("done", 0), ("done", 0),
        ]  # fmt: skip
        assert on.began == ids

    crew(tmp_path, play)


def test_a_cancel_that_comes_too_late_ends_no_other_job(tmp_path: Path) -> None:
    """The worker has gone on to the next job when it hears the stop that was meant for the one before."""

    async def play(on: Crew) -> None:
        await on.know()

        async def each(work: Work, place: int) -> str | None:
            if work.order["job"] == ids[0] and len(on.rounds) == 1:
                on.dispatcher.cancel(ids[0])
                return work.end(took=0.001)  # it had ended by then
            if work.order["job"] == ids[1] and len(on.rounds) == 1:
                return await waits(work)
            return work.end(took=0.001)

        on.each = each
        ids = await on.queue(3)
        started(on)
        found = await all_ended(on, ids)
        assert [(job.state, job.attempts) for job in found] == [("done", 0)] * 3
        numbers = [event["seq"] for event in await on.events(ids[1])]
        assert numbers == sorted(set(numbers))

    crew(tmp_path, play)


def test_a_worker_that_dies_is_about_the_job_that_ran(tmp_path: Path) -> None:
    async def play(on: Crew) -> None:
        await on.know()

        async def each(work: Work, place: int) -> str:
            if work.order["job"] == ids[1]:
                work.mark("n")
                raise Elsewhere("WorkerDied", "it was killed")
            return work.end(took=0.001)

        on.each = each
        ids = await on.queue(4)
        started(on)
        found = await all_ended(on, ids)
        assert [(job.state, job.attempts) for job in found] == [
            ("done", 0), ("failed", 2), ("done", 0), ("done", 0),
        ]  # fmt: skip
        assert found[1].error is not None
        assert (found[1].error["code"], found[1].error["node"]) == ("worker_died", "n")
        assert on.rounds[1] == [ids[1]], "of such a job nothing is known any more"
        assert sorted(on.began) == sorted([ids[1], *ids])

    crew(tmp_path, play, deaths=2)


def test_what_had_ended_but_was_not_told_when_the_worker_died_counts_no_attempt(tmp_path: Path) -> None:
    async def play(on: Crew) -> None:
        await on.know()

        async def each(work: Work, place: int) -> str | None:
            if len(on.rounds) > 1:
                return work.end(took=0.001)
            if place == 2:
                raise Elsewhere("WorkerDied", "it was killed")
            return None  # it would have been told with the next ones

        on.each = each
        ids = await on.queue(4)
        started(on)
        found = await all_ended(on, ids)
        assert [(job.state, job.attempts) for job in found] == [
            ("done", 0), ("done", 0), ("done", 1), ("done", 0),
        ]  # fmt: skip

    crew(tmp_path, play)


def test_a_worker_that_dies_before_it_began_any_counts_against_the_first(tmp_path: Path) -> None:
    # Else they would be tried for ever.
    async def play(on: Crew) -> None:
        await on.know()
        real = CrewProcess.call

        async def call(self: CrewProcess, node: Any, *rest: Any) -> str:
            if node is jobs:
                self.alive = False
                raise Elsewhere("WorkerDied", "it was killed")
            return await real(self, node, *rest)

        CrewProcess.call = call  # type: ignore[method-assign]
        try:
            ids = await on.queue(3)
            started(on)
            found = await all_ended(on, ids)
        finally:
            CrewProcess.call = real  # type: ignore[method-assign]
        assert [job.attempts for job in found] == [1, 0, 0]

    crew(tmp_path, play)


def test_a_newer_job_of_a_slot_ends_those_of_the_round_that_are_of_it(tmp_path: Path) -> None:
    async def play(on: Crew) -> None:
        await on.know()

        async def each(work: Work, place: int) -> str:
            if place == 0 and len(on.rounds) == 1:
                newer.append(await on.submit(slot="tab"))
                for id in await on.desk.cancelling("first"):
                    on.dispatcher.cancel(id)
            return work.end(took=0.001)

        on.each = each
        newer: list[str] = []
        await on.desk.pause(True)
        ids = [await on.submit(), await on.submit(slot="tab"), await on.submit()]
        await on.desk.pause(False)
        started(on)
        states = [job.state for job in await all_ended(on, [*ids, *newer])]
        assert states == ["done", "cancelled", "done"]
        assert (await on.ended(newer[0])).state == "done"
        assert ids[1] not in on.began

    crew(tmp_path, play)


def test_when_the_server_ends_what_has_not_begun_is_queued_again(tmp_path: Path) -> None:
    async def play(on: Crew) -> None:
        await on.know()
        reached = asyncio.Event()

        async def each(work: Work, place: int) -> str:
            if place == 1:
                reached.set()
                return await waits(work)
            return work.end(took=0.001)

        on.each = each
        ids = await on.queue(4)
        started(on)
        await reached.wait()
        on.dispatcher.hurry()
        await on.dispatcher.close(1000.0)
        found = [await on.desk.get(id) for id in ids]
        assert [(job.state, job.attempts) for job in found] == [("done", 0), *[("queued", 0)] * 3]

    crew(tmp_path, play)


def test_a_server_that_ends_in_order_lets_the_round_end(tmp_path: Path) -> None:
    async def play(on: Crew) -> None:
        await on.know()
        reached, gate = asyncio.Event(), asyncio.Event()

        async def each(work: Work, place: int) -> str:
            reached.set()
            await gate.wait()
            return work.end(took=0.001)

        on.each = each
        ids = await on.queue(MOST_TOGETHER + 3)
        started(on)
        await reached.wait()
        closing = asyncio.create_task(on.dispatcher.close(1000.0))
        await asyncio.sleep(0.01)
        gate.set()
        await closing
        states = [(await on.desk.get(id)).state for id in ids]
        assert states == ["done"] * MOST_TOGETHER + ["queued"] * 3

    crew(tmp_path, play)


def test_a_worker_does_no_more_jobs_than_it_may(tmp_path: Path) -> None:
    async def play(on: Crew) -> None:
        await on.know()
        ids = await on.queue(8)
        started(on)
        await all_ended(on, ids)
        assert [len(round) for round in on.rounds] == [3, 3, 2]
        process = on.dispatcher.processes[0]
        assert isinstance(process, Process)
        while process.starts < 3:
            await asyncio.sleep(0.001)

    crew(tmp_path, play, jobs_per_worker=3)


def test_ends_and_the_next_claim_share_a_transaction(tmp_path: Path) -> None:
    async def play(on: Crew) -> None:
        await on.know()
        real, sizes = on.store.apply, list[list[str]]()

        def apply(calls: Any) -> Any:
            results = real(calls)
            sizes.append([type(result).__name__ for result in results])
            return results

        on.store.apply = apply  # type: ignore[method-assign]
        ids = await on.queue(MOST_TOGETHER * 2)
        started(on)
        await all_ended(on, ids)
        together_with = [size for size in sizes if "Claim" in size and size.count("Job") > 1]
        assert together_with, sizes

    crew(tmp_path, play)


def test_a_file_of_one_job_is_not_the_next_ones(tmp_path: Path) -> None:
    async def play(on: Crew) -> None:
        await on.know()

        async def each(work: Work, place: int) -> str:
            path = Path(work.order["home"]["out"]) / "a.txt"
            assert not path.exists()
            path.write_text("x" * place)
            work.tell({"event": "output", "kind": "file", "ref": str(path), "node": "n"})
            return work.end(took=0.001)

        on.each = each
        ids = await on.queue(3)
        started(on)
        found = await all_ended(on, ids)
        assert [job.outputs[0].bytes for job in found] == [0, 1, 2]

    crew(tmp_path, play)


def test_on_the_board_one_side_always_sees_the_other(tmp_path: Path) -> None:
    path = tmp_path / "board"
    with Board.new(path, 3) as ours, Board.open(str(path), 3) as theirs:
        assert theirs.begin(0)
        assert not ours.withdraw(0)
        assert ours.withdraw(2)
        assert not theirs.begin(2)
        assert theirs.begin(1)
        assert ours.begun() == [0, 1, 2]
    with Board.new(path, 2) as again:
        assert again.begun() == []


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"nodes": []}', '{"nodes": {"a": {}}}', '{"nodes": {"a": 1}}'])
def test_of_what_cannot_be_read_nothing_is_known(text: str) -> None:
    quick = Quick()
    for _ in range(5):
        quick.note(text, 0.001)
    assert not quick.together()(text)
