"""Carries out a plan: what is ready goes to the executor, what is done goes to its users and to the cache."""

from __future__ import annotations

import copy
import heapq
import queue
from collections.abc import Callable, Iterable
from typing import Any

from engine.cache import Cache, Outputs
from engine.context import CancelToken, Context
from engine.declare import NodeType
from engine.errors import Cancelled, NodeError
from engine.events import Emitter, ErrorDetail, NodeCached, NodeFailed, NodeFinished, NodeStarted
from engine.executor import Done, Executor, Task
from engine.plan import Plan, Step
from engine.ports import Lazy, validate
from graphs.document import Link


class StaleHit(Exception):  # noqa: N818
    """A result that the plan counted on cannot be read: plan again without it."""

    def __init__(self, key: bytes) -> None:
        self.key = key


class Scheduler:
    """One attempt at a plan, in the thread that calls `run`.

    Args:
        plan: with its hits found.
        make_context: the Context for a node id.
        on_output: called with each target's step and result as soon as it is there.

    Attributes:
        results: results that still have users, by number; in the end those of the targets.
        ran: numbers of the steps that ran to their end.
    """

    def __init__(
        self,
        plan: Plan,
        *,
        cache: Cache,
        executor: Executor,
        emitter: Emitter,
        cancel: CancelToken,
        make_context: Callable[[str], Context],
        on_output: Callable[[Step, Outputs], None],
    ) -> None:
        self.plan = plan
        self.cache = cache
        self.executor = executor
        self.emitter = emitter
        self.cancel = cancel
        self.make_context = make_context
        self.on_output = on_output
        self.results: dict[int, Outputs] = {}
        self.ran: set[int] = set()
        self._users = {number: plan.steps[number].users for number in (*plan.loads, *plan.runs)}
        self._done: queue.SimpleQueue[Done | None] = queue.SimpleQueue()
        self._in_flight = 0
        self._waiting: dict[int, int] = {}
        self._followers: dict[int, list[int]] = {}
        """Steps that run, by the steps whose results they take."""
        self._targets: dict[int, list[Step]] = {}
        for number in plan.targets:
            self._targets.setdefault(plan.original(number).number, []).append(plan.steps[number])
        self._twins: dict[int, list[Step]] = {}
        """Steps that get the result of another one with the same key."""
        if emitter.on_event is not None:
            for step in plan.steps:
                if step.same is not None:
                    self._twins.setdefault(step.same, []).append(step)

    def run(self) -> None:
        """Bring every target's result about.

        Raises:
            NodeError: a node failed. Nothing is in flight any more.
            Cancelled: the token was cancelled, or a node said so.
            StaleHit: plan again.
        """
        ready = self._begin()
        # The token's `cancel` puts None on the queue, so waiting for a node ends at once.
        with self.cancel.notifying(lambda: self._done.put(None)):
            try:
                while ready or self._in_flight:
                    self.cancel.check()
                    if ready:
                        self._start(self.plan.steps[heapq.heappop(ready)], ready)
                    self._collect(ready, wait=not ready)
            except BaseException:
                self._abandon()
                raise

    def _begin(self) -> list[int]:
        """The heap of what can start at once; the least number is the branch that was begun first."""
        plan = self.plan
        ready = list(plan.loads)
        for number in plan.runs:
            sources = {plan.original(source).number for source in plan.steps[number].sources}
            if not sources:
                ready.append(number)
                continue
            self._waiting[number] = len(sources)
            for source in sources:
                self._followers.setdefault(source, []).append(number)
        heapq.heapify(ready)
        return ready

    def _start(self, step: Step, ready: list[int]) -> None:
        if step.tier is not None:
            outputs = self.cache.get(step.key)
            if outputs is None or len(outputs) != len(step.type.outputs):
                raise StaleHit(step.key)
            self._deliver(step, outputs, ready)
            return
        self.emitter.emit(NodeStarted, step.id)
        context = self.make_context(step.id) if step.type.context_parameter else None
        try:
            inputs = self._inputs(step)
        except Exception as error:
            self._fail(step, error)
        if context is not None and step.type.context_parameter is not None:
            inputs[step.type.context_parameter] = context
        self._in_flight += 1
        try:
            self.executor.submit(Task(step.number, step.type, inputs, context), self._done.put)
        except BaseException:  # Ctrl-C in the middle of a node: nobody will report its end
            self._in_flight -= 1
            raise

    def _collect(self, ready: list[int], wait: bool) -> None:
        """Take in what ended; with `wait`, at least one thing when something is in flight."""
        while self._in_flight:
            try:
                done = self._done.get(block=wait)
            except queue.Empty:
                return
            if done is None:
                self.cancel.check()
                continue
            wait = False
            self._in_flight -= 1
            self._finish(self.plan.steps[done.number], done, ready)

    def _finish(self, step: Step, done: Done, ready: list[int]) -> None:
        if isinstance(done.error, Cancelled):
            raise done.error
        if done.error is not None:
            self._fail(step, done.error)
        try:
            outputs = as_outputs(step.type, done.value)
        except TypeError as error:
            self._fail(step, error)
        done.value = None
        if step.keeps:
            self.cache.put(step.key, outputs, {"type": step.type.name, "seconds": done.seconds})
        self.ran.add(step.number)
        self.emitter.emit(NodeFinished, step.id, seconds=done.seconds)
        for twin in self._twins.get(step.number, ()):
            self.emitter.emit(NodeCached, twin.id, tier="memory")
        self._release(self.plan.original(source).number for source in step.sources)
        self._deliver(step, outputs, ready)

    def _deliver(self, step: Step, outputs: Outputs, ready: list[int]) -> None:
        self.results[step.number] = outputs
        for target in self._targets.get(step.number, ()):
            self.on_output(target, outputs)
        for follower in self._followers.get(step.number, ()):
            self._waiting[follower] -= 1
            if not self._waiting[follower]:
                heapq.heappush(ready, follower)

    def _release(self, numbers: Iterable[int]) -> None:
        """One user fewer for each step; the last one to go frees the result."""
        for number in set(numbers):
            self._users[number] -= 1
            if not self._users[number]:
                del self.results[number]

    def _inputs(self, step: Step) -> dict[str, Any]:
        """What the node is called with. Inputs that are absent are left to the function's own defaults."""
        node_type = step.type
        inputs: dict[str, Any] = {}
        for name, item in step.inputs.items():
            kind = type(item)
            if kind is Link:
                item = self._value(item)
                if name in node_type.constrained:
                    self._check(node_type, name, item)
            elif kind is list:
                # A copy, also of what is literal: a node must not be able to change the document.
                item = [self._value(part) if type(part) is Link else copy.deepcopy(part) for part in item]
                if name in node_type.constrained:
                    self._check(node_type, name, item)
            elif kind is dict:
                item = copy.deepcopy(item)
            inputs[name] = Lazy(_constant(item)) if name in node_type.lazy else item
        return inputs

    def _value(self, link: Link) -> Any:
        source = self.plan.original(self.plan.numbers[link.node])
        return self.results[source.number][source.type.output_positions[link.output]]

    @staticmethod
    def _check(node_type: NodeType, name: str, item: Any) -> None:
        flaws = validate(node_type.inputs[name], item)
        if flaws:
            raise ValueError(flaws[0].message)

    def _fail(self, step: Step, cause: BaseException) -> None:
        error = NodeError.of(step.id, step.type.name, cause)
        if self.emitter.on_event is not None:
            self.emitter.emit(NodeFailed, step.id, error=ErrorDetail.of(error))
        raise error from cause

    def _abandon(self) -> None:
        """Stop what is in flight and wait for it; keep what was finished meanwhile."""
        self.executor.stop()
        while self._in_flight:
            done = self._done.get()
            if done is None:
                continue
            self._in_flight -= 1
            step = self.plan.steps[done.number]
            if done.error is None and step.keeps:
                try:
                    self.cache.put(step.key, as_outputs(step.type, done.value), {"type": step.type.name})
                except TypeError:
                    continue
        self.results = {number: kept for number, kept in self.results.items() if number in self._targets}


def as_outputs(node_type: NodeType, value: Any) -> Outputs:
    """What a node returned, as its outputs in order.

    Raises:
        TypeError: it returned another number of them than it declares.
    """
    count = len(node_type.outputs)
    if node_type.several_outputs:
        if not isinstance(value, tuple) or len(value) != count:
            found = f"{len(value)} values" if isinstance(value, tuple) else type(value).__name__
            raise TypeError(f"it returned {found} instead of ({', '.join(node_type.outputs)})")
        return tuple(value)
    return (value,) if count else ()


def _constant(value: Any) -> Callable[[], Any]:
    return lambda: value
