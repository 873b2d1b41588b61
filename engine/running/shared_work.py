"""Steps that were about to be computed and need not be: another run computes them, or has done so."""

from __future__ import annotations

from weft.engine.planning.plan import Plan
from weft.engine.planning.steps import WAITING, Step
from weft.engine.running.intermediates import Intermediates
from weft.engine.running.reporter import Reporter
from weft.engine.running.storing import Storing
from weft.engine.running.waiting import Waiting


class SharedWork:
    """Used by the scheduler's thread alone.

    Attributes:
        elsewhere: the steps that wait for another run.
    """

    def __init__(
        self, plan: Plan, storing: Storing, intermediates: Intermediates, waiting: Waiting, report: Reporter
    ) -> None:
        self._plan = plan
        self._storing = storing
        self._intermediates = intermediates
        self._waiting = waiting
        self._report = report
        self.elsewhere: set[int] = set()

    def settled(self, step: Step) -> bool:
        """Whether a late step is in the cache, now that the contents of what it needs are known."""
        self._plan.settle(step)
        return self._is_there(step)

    def before_call(self, step: Step) -> bool:
        """Whether a step that has all it needs is not to be called."""
        if self._storing.is_computed_elsewhere(step):
            step.state = WAITING
            self.elsewhere.add(step.number)
            return True
        return self._storing.others and self._is_there(step)

    def no_longer_elsewhere(self, number: int) -> None:
        """Another run has computed a step that waited for it, or will not."""
        if number in self.elsewhere:
            self.elsewhere.remove(number)
            step = self._plan.steps[number]
            if not self._is_there(step):
                self._waiting.push(step)

    def _is_there(self, step: Step) -> bool:
        tier = step.tier = self._storing.find(step)
        if tier is None:
            return False
        self._storing.over(step)
        self._report.cached(step, tier)
        self._intermediates.release_all(step)
        self._waiting.push(step)
        return True
