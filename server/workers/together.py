"""Several quick jobs that a worker does one after the other in one call."""

from __future__ import annotations

import asyncio
import functools
import json
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from weft.engine.declaring.following import CancelToken
from weft.engine.errors import Cancelled
from weft.server.workers.board import Board
from weft.server.workers.inside import ENDED, jobs
from weft.server.workers.process import OnReport, WorkerProcess

PATIENCE_SECONDS = 0.1
"""When the job that runs has taken so long, those behind it go back into the queue: it was not quick after all."""
MOST_SECONDS = 0.5
"""The same when all of them have."""


class NotBegun(Exception):  # noqa: N818
    """A job was not begun, or was interrupted though nobody wanted its end. It is as good as new."""


class Carry(Protocol):
    """Has a worker do a job."""

    async def __call__(self, order: Mapping[str, Any], token: CancelToken, report: OnReport) -> str:
        """The summary of the run.

        Args:
            order: what `server.workers.inside.job` is given.
            token: ends it.
            report: takes what it reports.

        Raises:
            NotBegun: it is to go back into the queue.
            BaseException: how the worker ended.
        """


@dataclass(eq=False, slots=True)
class _Entry:
    """A job that is to be done with others, and what its `carry` waits for."""

    order: Mapping[str, Any]
    token: CancelToken
    report: OnReport
    answer: asyncio.Future[str]

    def lose(self, error: BaseException) -> None:
        """Tell it that it has no end, unless it has one."""
        if not self.answer.done():
            self.answer.set_exception(error)


class Together:
    """One call of a worker for several jobs, each of which is followed as if it had the worker for itself.

    Each job hands its order to `carry`. The call begins when all have, or have come to an end without it.

    Args:
        folder: where the worker writes files.
        ids: of the jobs, in their order.
        free: called when the worker has nothing more to do, before what came of the last job is in the store.
    """

    def __init__(self, process: WorkerProcess, folder: Path, ids: Sequence[str], free: Callable[[], object]) -> None:
        self._process = process
        self._folder = folder
        self._ids = ids
        self._free = free
        self._awaited = len(ids)
        self._all_here = asyncio.Event()
        self._entries: dict[str, _Entry] = {}
        self._round: list[_Entry] = []
        """Those that are part of the call, by their place in it."""
        self._board: Board | None = None
        self._call = CancelToken()
        self._progress = self._began = 0.0

    async def carry(self, order: Mapping[str, Any], token: CancelToken, report: OnReport) -> str:
        """See `Carry`."""
        entry = _Entry(order, token, report, asyncio.get_running_loop().create_future())
        self._entries[order["job"]] = entry
        self.leave()
        with token.notifying(functools.partial(self._withdraw, entry)):
            return await entry.answer

    def leave(self) -> None:
        """One job fewer is waited for before the call begins."""
        self._awaited -= 1
        if self._awaited <= 0:
            self._all_here.set()

    async def run(self) -> None:
        """Make the call. Returns when each job knows what came of it."""
        try:
            await self._all_here.wait()
            self._round = [self._entries[id] for id in self._ids if id in self._entries]
            if not self._round:
                return
            with Board.new(self._folder / "board", len(self._round)) as board:
                self._board = board
                for entry in self._round:
                    if entry.token.cancelled:
                        self._withdraw(entry)
                await self._carry_out(board)
        except (Exception, Cancelled) as error:
            for entry in self._round[:1]:
                entry.lose(error)
        finally:
            self._board = None
            for entry in self._entries.values():
                entry.lose(NotBegun("it was not begun"))

    async def _carry_out(self, board: Board) -> None:
        orders = [entry.order for entry in self._round]
        names = ("job", "document", "targets", "first_seq")
        order = {
            "home": orders[0]["home"],
            "marker": orders[0]["marker"],
            "board": str(self._folder / "board"),
            "jobs": [{**{name: one[name] for name in names}, "out": one["home"]["out"]} for one in orders],
        }
        self._progress = self._began = asyncio.get_running_loop().time()
        watch = asyncio.create_task(self._watch(board))
        try:
            self._process.calls += len(orders) - 1
            answer = await self._process.call(jobs, {"order": json.dumps(order)}, self._call, self._take)
        except (Exception, Cancelled) as error:
            self._blame(board, error)
        else:
            self._free()
            self._take(ENDED, {"ended": json.loads(answer)}, b"")
        finally:
            watch.cancel()
            await asyncio.gather(watch, return_exceptions=True)

    def _take(self, kind: str, data: Mapping[str, Any], body: bytes) -> None:
        """What the worker reports, in the event loop's thread."""
        if kind != ENDED:
            if (entry := self._entries.get(data["job"])) is not None and not entry.answer.done():
                entry.report(kind, data, body)
            return
        self._progress = asyncio.get_running_loop().time()
        for place, summary in data["ended"].items():
            entry = self._round[int(place)]
            if self._call.cancelled and not entry.token.cancelled and json.loads(summary)["state"] == "cancelled":
                entry.lose(NotBegun("it was interrupted in place of another job"))
            elif not entry.answer.done():
                entry.answer.set_result(summary)

    def _blame(self, board: Board, error: BaseException) -> None:
        """The worker did not come back: that is about the job that ran. Those before it have ended, but perhaps not
        told of it; those behind it were not begun."""
        entry = self._round[max(board.begun(), default=0)]
        if entry.token.cancelled or not isinstance(error, Cancelled):
            entry.lose(error)

    def _withdraw(self, entry: _Entry) -> None:
        """Have a job not begin; where it runs, end it."""
        board = self._board
        if board is None or entry.answer.done():
            return
        place = self._round.index(entry)
        if board.withdraw(place):
            entry.lose(NotBegun("it was withdrawn"))
        elif place == max(board.begun()):
            self._call.cancel()

    async def _watch(self, board: Board) -> None:
        """Let nobody wait for a job that takes longer than was thought."""
        loop = asyncio.get_running_loop()
        while (due := min(self._progress + PATIENCE_SECONDS, self._began + MOST_SECONDS)) > (now := loop.time()):
            await asyncio.sleep(due - now)
        for place, entry in enumerate(self._round):
            if not entry.answer.done() and board.withdraw(place):
                entry.lose(NotBegun("the one before it takes long"))


async def all_of(followed: Sequence[Coroutine[Any, Any, None]], together: Together) -> None:
    """Follow jobs while their worker does them together.

    Args:
        followed: coroutines, each of which brings one job to an end.
    """
    tasks = [asyncio.create_task(one) for one in followed]
    for task in tasks:
        task.add_done_callback(lambda _: together.leave())
    try:
        await together.run()
        await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
