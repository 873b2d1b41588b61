"""Results that are held while somebody may need them, and dropped after their last use."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from weft.engine.planning.plan import Plan
from weft.engine.planning.steps import DONE, DROPPED, Scope, Step
from weft.engine.running.absent import ABSENT
from weft.engine.values import Outputs, nbytes


class Intermediates:
    """Results that somebody still needs.

    Attributes:
        results: by number; in the end those of the targets.
        sizes: bytes of those that are worth counting.
        absent: whether something stands in place of a value that is not there.
    """

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self.results: dict[int, Outputs] = {}
        self.sizes: dict[int, int] = {}
        self.absent = False

    def originals(self, numbers: tuple[int, ...] | list[int]) -> list[Step]:
        """The steps that compute for these, each once."""
        original = self._plan.original
        if len(numbers) < 2:
            return [original(number) for number in numbers]
        return list({(step := original(number)).number: step for number in numbers}.values())

    def put(self, step: Step, outputs: Outputs) -> None:
        """A result is there."""
        step.state = DONE
        self.results[step.number] = outputs
        large = False
        for item in outputs:
            kind = type(item)
            if kind in _ATOMS:
                continue
            large = True
            if kind in ABSENT:
                self.absent = True
        if large:
            self.sizes[step.number] = nbytes(outputs)

    def give(self, step: Step, value: Any) -> None:
        """A value stands ready for the steps of a scope, until that is done."""
        step.users = 1
        step.scope.given.append(step)
        self.put(step, (value,))

    def close(self, scope: Scope) -> None:
        """A scope is done: nothing in it will ask for what it was given."""
        scope.closed = True
        given, scope.given = scope.given, []
        for step in given:
            self.release(step)

    def hold_lazily(self, step: Step) -> None:
        """A step may ask for more while it runs: until it has ended, what it might need stays."""
        for source in self.originals(step.lazy):
            source.users += 1
        for scope in _outwards(step.scope):
            scope.open += 1

    def release_all(self, step: Step) -> None:
        """A step needs its inputs no more."""
        for source in self.originals(step.sources):
            self.release(source)
        if step.lazy:
            for source in self.originals(step.lazy):
                self.release(source)
            for scope in _outwards(step.scope):
                scope.open -= 1
                if not scope.open:
                    parked, scope.parked = scope.parked, []
                    for other in parked:
                        if not other.users:
                            self._drop(other)

    def release(self, step: Step) -> None:
        """One user fewer; the last one to go frees the result."""
        step.users -= 1
        if not step.users and step.state == DONE:
            if step.pinned and step.scope.open:
                step.scope.parked.append(step)
            else:
                self._drop(step)

    def _drop(self, step: Step) -> None:
        step.state = DROPPED
        self.results.pop(step.number, None)
        self.sizes.pop(step.number, None)


def _outwards(scope: Scope) -> Iterator[Scope]:
    found: Scope | None = scope
    while found is not None:
        yield found
        found = found.outer


_ATOMS = frozenset({int, float, bool, str, type(None)})
