"""Lazy inputs that nodes ask for while they run."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from engine.calls import Demand
from engine.errors import Cancelled
from engine.steps import DONE

if TYPE_CHECKING:
    from engine.scheduler import Scheduler


class Demands:
    """What nodes in flight wait for. But for `ask`, used by the scheduler's thread alone."""

    def __init__(self, scheduler: Scheduler) -> None:
        self._scheduler = scheduler
        self._thread = threading.get_ident()
        self._open: set[Demand] = set()

    def ask(self, demand: Demand) -> None:
        """A node wants an input; from any thread."""
        if threading.get_ident() == self._thread:
            raise RuntimeError("a lazy input was asked for that `needs` of the node did not name")
        self._scheduler.mail.put(demand)

    def take(self, demand: Demand) -> None:
        """Have it computed. The node's lane is free for others meanwhile."""
        scheduler = self._scheduler
        for source in scheduler.held.originals(demand.sources):
            if source.state != DONE:
                demand.waiting += 1
                scheduler.followers.setdefault(source.number, []).append(demand)
        if not demand.waiting:
            demand.reply(None)
            return
        lane = demand.lane = scheduler.flying[demand.number]
        if lane is not None:
            lane.running -= 1
            scheduler.flying[demand.number] = None
        self._open.add(demand)
        scheduler.need(demand.sources)

    def met(self, demand: Demand) -> None:
        """It is there: the node goes on when its lane has room."""
        lane = demand.lane
        if lane is None:
            self._open.discard(demand)
            demand.reply(None)
            return

        def resume() -> None:
            self._open.discard(demand)
            self._scheduler.flying[demand.number] = lane
            demand.reply(None)

        lane.resumes.append(resume)
        self._scheduler.lanes.resume()

    def refuse(self) -> None:
        """The run is over: nobody gets anything any more."""
        for demand in self._open:
            demand.reply(Cancelled("the run was cancelled"))
        self._open.clear()
