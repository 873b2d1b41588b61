"""Who is told when a result is there: whoever wants the targets, and steps that have the result of another one."""

from __future__ import annotations

from collections.abc import Callable

from weft.engine.planning.plan import Plan
from weft.engine.planning.steps import DONE, Step
from weft.engine.running.intermediates import Intermediates
from weft.engine.running.reporter import Reporter
from weft.engine.values import Outputs


class Deliveries:
    """Hands out results as they come.

    Args:
        on_output: takes each target and its result, and each item of a target that runs per item.
    """

    def __init__(
        self, plan: Plan, intermediates: Intermediates, report: Reporter, on_output: Callable[[Step, Outputs], None]
    ) -> None:
        self._plan = plan
        self._intermediates = intermediates
        self._report = report
        self._on_output = on_output
        targets = [plan.steps[number] for number in plan.targets]
        self._mapped = {step.shown for step in targets if step.gathers}
        self.waiting: dict[int, list[Step]] = {}
        for step in targets:
            self.waiting.setdefault(plan.original(step.number).number, []).append(step)

    def watch(self, steps: list[Step]) -> None:
        """Steps were added for one item: some are of a target, some have the result of another."""
        self._report.unfolded(steps)
        for step in steps:
            if step.repeated or step.gathers or (step.same is None and not self._is_target(step)):
                continue
            original = self._plan.original(step.number)
            if original.state == DONE:
                self._tell(step, self._intermediates.results[original.number])
            else:
                self.waiting.setdefault(original.number, []).append(step)

    def tell(self, step: Step, outputs: Outputs) -> None:
        """A step has its result."""
        for other in self.waiting.pop(step.number, ()):
            self._tell(other, outputs)

    def _tell(self, step: Step, outputs: Outputs) -> None:
        if step.scope.root or self._is_target(step):
            self._on_output(step, outputs)
        if not step.scope.root and step.same is not None:
            self._report.shared(step)

    def _is_target(self, step: Step) -> bool:
        """Whether it is one item of a target, and not on the way to another target."""
        return step.shown == step.scope.of and step.shown in self._mapped
