"""Lazy inputs that nodes ask for while they run."""

from __future__ import annotations

import contextlib
import queue
import threading
from typing import Any

from weft.engine.errors import Cancelled
from weft.engine.planning.steps import WAITING, Step
from weft.engine.running.calls import Demand, Inputs, Pause
from weft.engine.running.intermediates import Intermediates
from weft.engine.running.lanes import Lane, Lanes
from weft.engine.running.waiting import Waiting


class Demands:
    """What nodes in flight wait for. But for `ask`, used by the scheduler's thread alone.

    Args:
        flying: the lane of each call in flight; None while it waits for a lazy input.
    """

    def __init__(
        self,
        waiting: Waiting,
        intermediates: Intermediates,
        lanes: Lanes,
        flying: dict[int, Lane | None],
        mail: queue.SimpleQueue[Any],
    ) -> None:
        self._waiting = waiting
        self._intermediates = intermediates
        self._lanes = lanes
        self._flying = flying
        self._mail = mail
        self._thread = threading.get_ident()
        self._open: set[Demand | Pause] = set()
        self.away: set[int] = set()
        """The calls that let others have their place."""
        self._asked: set[int] = set()  # steps whose `needs` was called
        self._ended = False

    def led_here(self) -> None:
        """The scheduler's work is done by this thread from now on."""
        self._thread = threading.get_ident()

    def ask(self, demand: Demand) -> None:
        """A node wants an input; from any thread."""
        if threading.get_ident() == self._thread:
            raise RuntimeError("a lazy input was asked for that `needs` of the node did not name")
        self._mail.put(demand)
        if self._ended:  # perhaps after `end` had looked
            self.end()

    def foreseen(self, step: Step, inputs: Inputs) -> bool:
        """Have the lazy inputs computed that a node says it will ask for; whether it waits for them."""
        if step.number in self._asked:
            return False
        self._asked.add(step.number)
        numbers = inputs.wanted(step)
        step.state = WAITING
        if not self._waiting.follow(step, self._intermediates.originals(numbers)):
            return False
        self._waiting.need(numbers)
        return True

    def take(self, demand: Demand | Pause) -> None:
        """Have it computed. The node's lane is free for others meanwhile."""
        if demand.number not in self._flying:
            demand.reply(RuntimeError("a lazy input was asked for after its node had ended"))
            return
        if isinstance(demand, Pause):
            self._pause(demand)
            return
        if not self._waiting.follow(demand, self._intermediates.originals(demand.sources)):
            demand.reply(None)
            return
        lane = demand.lane = self._flying[demand.number]
        if lane is not None:
            self._lanes.leave(lane, demand.number)
            self._flying[demand.number] = None
        self._open.add(demand)
        self._waiting.need(demand.sources)

    def _pause(self, pause: Pause) -> None:
        """A node lets others have its place for a while, or wants it back."""
        number = pause.number
        if pause.since is not None:
            self.away.discard(number)
            pause.lane = pause.since.lane
            self._open.add(pause)
            self.met(pause)
            return
        lane = pause.lane = self._flying[number]
        if lane is not None:
            self._lanes.leave(lane, number)
            self._flying[number] = None
            self.away.add(number)

    def met(self, demand: Demand | Pause) -> None:
        """It is there: the node goes on when its lane has room."""
        lane = demand.lane
        if lane is None:
            self._open.discard(demand)
            demand.reply(None)
            return

        def resume() -> None:
            self._open.discard(demand)
            self._flying[demand.number] = lane
            if lane is self._lanes.device:
                self._lanes.slots.use(demand.number)
            demand.reply(None)

        lane.resumes.append(resume)
        self._lanes.resume()

    def end(self) -> None:
        """The run has ended, and nobody reads the mail any more: whoever asks from now on is told so."""
        self._ended = True
        late: list[Demand | Pause] = [*self._open]
        self._open.clear()
        with contextlib.suppress(queue.Empty):
            while True:
                mail = self._mail.get_nowait()
                if isinstance(mail, (Demand, Pause)):
                    late.append(mail)
        for demand in late:
            demand.reply(RuntimeError("a lazy input was asked for after its run had ended"))

    def refuse(self) -> None:
        """The run is over: nobody gets anything any more."""
        for demand in self._open:
            demand.reply(Cancelled("the run was cancelled"))
        self._open.clear()
