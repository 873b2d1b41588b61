"""Who waits for whose result. What has all that it needs goes to its lane.

A step is asked for by what uses it (`need`), so nothing above a cached result, and no lazy input that nobody wants, is
ever begun.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from weft.engine.events import Tier
from weft.engine.planning.plan import Plan
from weft.engine.planning.steps import DONE, DROPPED, IDLE, READY, UNFOLDED, WAITING, Step
from weft.engine.running.calls import Demand
from weft.engine.running.intermediates import Intermediates
from weft.engine.running.lanes import Lanes
from weft.engine.running.reporter import Reporter

Follower = int | Demand
"""A step by its number, or a running node that asked for a lazy input."""


class Waiting:
    """Used by the scheduler's thread alone.

    Args:
        find: tells where a step's result is, without loading it.
    """

    def __init__(
        self,
        plan: Plan,
        intermediates: Intermediates,
        lanes: Lanes,
        report: Reporter,
        find: Callable[[Step], Tier | None],
    ) -> None:
        self._plan = plan
        self._intermediates = intermediates
        self._lanes = lanes
        self._report = report
        self._find = find
        self._followers: dict[int, list[Follower]] = {}

    def follow(self, who: Step | Demand, sources: Iterable[Step]) -> bool:
        """Let a step, or a node that asked, wait for those of these steps that are not done; False when all are."""
        follower: Follower = who.number if isinstance(who, Step) else who
        for source in sources:
            if source.state != DONE:
                who.waiting += 1
                self._followers.setdefault(source.number, []).append(follower)
        return who.waiting > 0

    def need(self, numbers: Iterable[int]) -> None:
        """See to it that these steps have their results, and what they need before."""
        stack = [self._plan.original(number) for number in numbers]
        while stack:
            step = stack.pop()
            if step.state != IDLE and step.state != DROPPED:
                continue
            step.tier = self._find(step)
            if step.tier is not None:
                step.state = READY
                self._report.cached(step, step.tier)
                self.push(step)
                continue
            step.state = WAITING
            step.waiting = 0
            sources = self._intermediates.originals(step.sources)
            for source in sources:
                source.users += 1
            if step.lazy:
                self._intermediates.hold_lazily(step)
            if self.follow(step, sources):
                stack += [source for source in sources if source.state != DONE]
            else:
                self.push(step)

    def push(self, step: Step) -> None:
        """It has all it needs."""
        if step.state != UNFOLDED:
            step.state = READY
        lanes = self._lanes
        computes = step.tier is None and step.region is None and step.state == READY
        freed = 0
        if step.state == READY:
            for number in step.sources:
                source = self._plan.original(number)
                if source.users == 1:
                    freed += self._intermediates.sizes.get(source.number, 1)
        lanes.push(lanes.of(step.type) if computes else lanes.free, (step.rank, -freed, step.order, step.number))

    def done(self, step: Step) -> list[Demand]:
        """Its result is there; returns the running nodes that have all they asked for now."""
        met = []
        for follower in self._followers.pop(step.number, ()):
            waiting = self._plan.steps[follower] if isinstance(follower, int) else follower
            waiting.waiting -= 1
            if not waiting.waiting:
                if isinstance(waiting, Step):
                    self.push(waiting)
                else:
                    met.append(waiting)
        return met

    def moved(self, gone: int, instead: int) -> None:
        """One step computes for those that waited for another."""
        if gone in self._followers:
            self._followers.setdefault(instead, []).extend(self._followers.pop(gone))
