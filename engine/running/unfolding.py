"""Steps in whose place others stand: what they wait for, what they come to, and when what they were given may go."""

from __future__ import annotations

from typing import Any

from weft.engine.declaring.skip import Skip
from weft.engine.planning.expansion import Expansion
from weft.engine.planning.plan import Plan
from weft.engine.planning.steps import UNFOLDED, Scope, Step
from weft.engine.planning.unfold import Bounds, Unfolded, gather, unfold_graph, unfold_region
from weft.engine.running.absent import Failed, first_absent
from weft.engine.running.calls import Inputs
from weft.engine.running.deliveries import Deliveries
from weft.engine.running.intermediates import Intermediates
from weft.engine.running.reporter import Reporter
from weft.engine.running.waiting import Waiting
from weft.engine.values import Outputs


class Unfolding:
    """Used by the scheduler's thread alone."""

    def __init__(
        self,
        plan: Plan,
        waiting: Waiting,
        intermediates: Intermediates,
        inputs: Inputs,
        deliveries: Deliveries,
        report: Reporter,
        bounds: Bounds,
    ) -> None:
        self._plan = plan
        self._waiting = waiting
        self._intermediates = intermediates
        self._inputs = inputs
        self._deliveries = deliveries
        self._report = report
        self._bounds = bounds
        self.open: dict[int, Unfolded] = {}
        """What stands in the place of steps that are not done, by their numbers."""
        self.ends: dict[int, list[Scope]] = {}
        """The scopes of single items, by the steps that they are for: then what they were given is let go."""

    def unfold(self, step: Step, graph: Expansion | None) -> None:
        """Put other steps in the place of this one: those of a graph that it returned, or one part for each item.

        Raises:
            Exception: what it returned cannot be run.
        """
        plan, intermediates = self._plan, self._intermediates
        if graph is not None:
            unfolded = unfold_graph(plan, step, graph, intermediates.give, self._bounds)
        else:
            lists = [intermediates.results[plan.original(source).number][0] for source in step.sources]
            self._report.started(step)
            unfolded = unfold_region(plan, step, lists, intermediates.give, self._bounds)
        step.waiting = 0
        self.open[step.number] = unfolded
        roots = intermediates.originals(tuple(unfolded.roots))
        for source in roots:
            source.users += 1
        waits = self._waiting.follow(step, roots)
        for (scope, _), steps in zip(unfolded.parts, unfolded.steps, strict=True):
            if scope.visible is None:
                self._deliveries.watch(steps)
        if step.region is not None:
            for scope, links in unfolded.parts:
                ends = intermediates.originals([scope.number(link.node) for link in links])
                scope.pending = len(ends)
                for end in ends:
                    self.ends.setdefault(end.number, []).append(scope)
        self._waiting.need([source.number for source in roots])
        intermediates.release_all(step)
        step.state = UNFOLDED
        if not waits:
            self._waiting.push(step)

    def gathered(self, step: Step) -> Outputs:
        """The result of a step when everything in its place is done, which is let go."""
        unfolded = self.open.pop(step.number)
        outputs = gather(step, unfolded, self._inputs.value)
        if step.region is not None and self._intermediates.absent:
            outputs = tuple(_present(step, items) for items in outputs)
        for source in self._intermediates.originals(tuple(unfolded.roots)):
            self._intermediates.release(source)
        for scope, _ in unfolded.parts:
            self._intermediates.close(scope)
        return outputs

    def moved(self, gone: int, instead: int) -> None:
        """One step computes for those that waited for another."""
        self._waiting.moved(gone, instead)
        tables: tuple[dict[int, list[Any]], ...] = (self.ends, self._deliveries.waiting)
        for table in tables:
            if gone in table:
                table.setdefault(instead, []).extend(table.pop(gone))

    def ended(self, step: Step) -> None:
        """A step is done: the items that only waited for it are."""
        for scope in self.ends.pop(step.number, ()):
            scope.pending -= 1
            if not scope.pending:
                self._intermediates.close(scope)


def _present(step: Step, items: list[Any]) -> Any:
    """What a list of items comes to when some are absent: those that were skipped have no place in it.

    One that failed is missing from what goes on with the list, so that is missing too; where nobody does, since the
    list is what was asked for, the error stands in its place.
    """
    there = [item for item in items if type(item) is not Skip]
    absent = first_absent(there)
    if absent is None:
        return there
    return [item.error if type(item) is Failed else item for item in there] if step.gathers else absent
