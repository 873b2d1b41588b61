"""Several quick jobs that a worker does one after the other in one call."""

from __future__ import annotations

import asyncio
import functools
import json
from collections.abc import Callable, Coroutine, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from weft.engine.declaring.context import CancelToken
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


class Together:
    """One call of a worker for several jobs, each of which is followed as if it had the worker for itself.

    Each job hands its order to `carry`. The call begins when all have, or have come to an end without it.

    Args:
        folder: where the worker writes files.
        count: of jobs.
        free: called when the worker has nothing more to do, before what came of the last job is in the store.
    """

    def __init__(self, process: WorkerProcess, folder: Path, count: int, free: Callable[[], object]) -> None:
        self._process = process
        self._folder = folder
        self._free = free
        self._awaited = count
        self._all_here = asyncio.Event()
        self._orders: list[Mapping[str, Any]] = []
        self._answers: list[asyncio.Future[str]] = []
        self._tokens: list[CancelToken] = []
        self._reports: dict[str, OnReport] = {}
        self._board: Board | None = None
        self._call = CancelToken()
        self._progress = self._began = 0.0

    async def carry(self, order: Mapping[str, Any], token: CancelToken, report: OnReport) -> str:
        """See `Carry`."""
        answer: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        place = len(self._answers)
        self._orders.append(order)
        self._answers.append(answer)
        self._tokens.append(token)
        self._reports[order["job"]] = report
        self.leave()
        with token.notifying(functools.partial(self._withdraw, place)):
            return await answer

    def leave(self) -> None:
        """One job fewer is waited for before the call begins."""
        self._awaited -= 1
        if self._awaited <= 0:
            self._all_here.set()

    async def run(self) -> None:
        """Make the call. Returns when each job knows what came of it."""
        await self._all_here.wait()
        if not self._orders:
            return
        try:
            with Board.new(self._folder / "board", len(self._orders)) as board:
                self._board = board
                for place, token in enumerate(self._tokens):
                    if token.cancelled:
                        self._withdraw(place)
                await self._carry_out(board)
        except (Exception, Cancelled) as error:
            self._lose(0, error)
        finally:
            self._board = None
            for place in range(len(self._answers)):
                self._lose(place, NotBegun("it was not begun"))

    async def _carry_out(self, board: Board) -> None:
        first = self._orders[0]
        names = ("job", "document", "targets", "first_seq")
        order = {
            "home": first["home"],
            "marker": first["marker"],
            "board": str(self._folder / "board"),
            "jobs": [{**{name: one[name] for name in names}, "out": one["home"]["out"]} for one in self._orders],
        }
        loop = asyncio.get_running_loop()
        self._progress = self._began = loop.time()
        watch = asyncio.create_task(self._watch(board))
        try:
            self._process.calls += len(self._orders) - 1
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
            data = dict(data)
            if (report := self._reports.get(data["job"])) is not None:
                report(kind, data, body)
            return
        self._progress = asyncio.get_running_loop().time()
        for place, summary in data["ended"].items():
            answer, token = self._answers[int(place)], self._tokens[int(place)]
            if self._call.cancelled and not token.cancelled and json.loads(summary)["state"] == "cancelled":
                self._lose(int(place), NotBegun("it was interrupted in place of another job"))
            elif not answer.done():
                answer.set_result(summary)

    def _lose(self, place: int, error: BaseException) -> None:
        """Tell a job that it has no end, unless it has one."""
        if not self._answers[place].done():
            self._answers[place].set_exception(error)

    def _blame(self, board: Board, error: BaseException) -> None:
        """The worker did not come back: that is about the job that ran. Those before it have ended, but perhaps not
        told of it; those behind it were not begun."""
        place = max(board.begun(), default=0)
        if not (isinstance(error, Cancelled) and not self._tokens[place].cancelled):
            self._lose(place, error)

    def _withdraw(self, place: int) -> None:
        """Have a job not begin; where it runs, end it."""
        board = self._board
        if self._answers[place].done() or board is None:
            return
        if board.withdraw(place):
            self._lose(place, NotBegun("it was withdrawn"))
        elif place == max(board.begun()):
            self._call.cancel()

    async def _watch(self, board: Board) -> None:
        """Let nobody wait for a job that takes longer than was thought."""
        loop = asyncio.get_running_loop()
        while (due := min(self._progress + PATIENCE_SECONDS, self._began + MOST_SECONDS)) > (now := loop.time()):
            await asyncio.sleep(due - now)
        for place, answer in enumerate(self._answers):
            if not answer.done() and board.withdraw(place):
                self._lose(place, NotBegun("the one before it takes long"))


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
