"""What a run says about the nodes of the document, also of those that run once per item or as graphs of their own."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING

from weft.engine.cache.history import History
from weft.engine.checking.axes import own_name, target_of
from weft.engine.errors import NodeError
from weft.engine.events import (
    ErrorDetail,
    NodeCached,
    NodeFailed,
    NodeFinished,
    NodeProgress,
    NodeRetried,
    NodeSkipped,
    NodeStarted,
)
from weft.engine.planning.plan import Plan
from weft.engine.planning.steps import IDLE, Scope, Step
from weft.engine.running.absent import Absent, Failed
from weft.engine.running.emitter import Emitter
from weft.engine.running.why import Reasons

if TYPE_CHECKING:
    from weft.engine.events import Tier

log = logging.getLogger("weft.run")


@dataclass(slots=True)
class Tally:
    """A node that runs once per item.

    Attributes:
        total: how many items there are as far as is known. done: how many are there.
        ran: how many of these were computed. seconds: what that took. imports: of that, importing modules.
        regions: how many parts of the document's graph that it is in have not ended.
    """

    total: int = 0
    done: int = 0
    ran: int = 0
    seconds: float = 0.0
    imports: float = 0.0
    started: bool = False
    regions: int = 0


class Reporter:
    """Turns what happens to steps into events about nodes.

    Attributes:
        ran: the nodes that ran. steered: those that only decide what runs.
    """

    def __init__(self, emitter: Emitter, plan: Plan, history: History | None = None) -> None:
        self._reasons = None if history is None else Reasons(history)
        self.emitter = emitter
        self.plan = plan
        self.ran: set[str] = set()
        self.steered: set[str] = set()
        self._on = emitter.on_event is not None
        self._tallies: dict[str, Tally] = {}
        self._twins: dict[int, list[str]] = {}
        """Nodes of the document that get the result of another one with the same key."""
        if self._on:
            for step in plan.steps:
                if step.same is not None and step.scope.root:
                    self._twins.setdefault(step.same, []).append(step.shown)
        for step in plan.steps:
            if step.region is not None:
                for id in step.region.members:
                    self._tallies.setdefault(target_of(id), Tally()).regions += 1

    def planned(self) -> None:
        """Which nodes are cached, as far as that is settled before anything runs."""
        if self._on and not any(step.lazy or step.region for step in self.plan.steps):
            self._idle()

    def ended(self) -> None:
        """Which nodes were never asked for."""
        if self._on and any(step.lazy or step.region for step in self.plan.steps if step.scope.root):
            self._idle()

    def _idle(self) -> None:
        for step in self.plan.steps[:]:
            if not step.scope.root or step.same is not None or step.gathers:
                continue
            if step.repeated:
                if self._tallies[step.id].regions:  # one of its parts was not needed, others may have been
                    self._items_ended(step.shown)
            elif step.state == IDLE:
                self.emitter.emit(NodeCached, step.shown, tier="unneeded")

    def unfolded(self, steps: list[Step]) -> None:
        """Steps were added for one item."""
        for step in steps:
            if not step.repeated and not step.gathers and not self._elsewhere(step):
                self._tallies.setdefault(step.shown, Tally()).total += 1

    def started(self, step: Step) -> None:
        """A call of a node begins."""
        if not self._on or step.gathers:
            return
        if step.scope.root:
            self.emitter.emit(NodeStarted, step.shown, **self._why(step))
        elif step.scope.visible is None:
            tally = self._tallies.setdefault(step.shown, Tally())
            if not tally.started:
                tally.started = True
                self.emitter.emit(NodeStarted, step.shown, **self._why(step))

    def _why(self, step: Step) -> dict[str, list[dict[str, str]]]:
        why = self._reasons.of(step) if self._reasons is not None and step.stored else None
        return {} if why is None else {"why": why}

    def finished(self, step: Step, seconds: float) -> None:
        """A step was computed."""
        if step.type.steers:
            self.steered.add(step.shown)
        elif step.scope.visible is None:
            self.ran.add(step.shown)
        if step.gathers:
            return
        if step.scope.visible is None and not step.scope.root:
            tally = self._tallies.setdefault(step.shown, Tally())
            tally.ran += 1
            tally.seconds += seconds
            tally.imports += step.imports
        if self._on and step.scope.root:
            self._finished(step.shown, seconds, step.imports)

    def _finished(self, shown: str, seconds: float, imports: float) -> None:
        if imports:
            self.emitter.emit(NodeFinished, shown, seconds=seconds, imports=imports)
        else:
            self.emitter.emit(NodeFinished, shown, seconds=seconds)

    def cached(self, step: Step, tier: Tier) -> None:
        """A step's result comes from the cache."""
        if self._on and step.scope.root and not step.gathers:
            self.emitter.emit(NodeCached, step.shown, tier=tier)

    def delivered(self, step: Step) -> None:
        """A result is there, however it came about."""
        for twin in self._twins.get(step.number, ()):
            self.emitter.emit(NodeCached, twin, tier="memory")
        scope = step.scope
        if scope.root:
            if step.region is not None:
                self._region_ended(step)
        elif scope.visible is None:
            if not step.gathers:
                self.counted(step)
        else:
            scope.done += 1
            if self._on and scope.total > 1:
                self.emitter.emit(
                    NodeProgress, scope.visible, step=scope.done, total=scope.total, message=f"{step.id} is done"
                )

    def _elsewhere(self, step: Step) -> bool:
        """Whether it is the same as a step on the way to another target, where it is counted."""
        return step.same is not None and self.plan.steps[step.same].scope.of != step.scope.of

    def shared(self, step: Step) -> None:
        """A step has its result from another."""
        if not self._elsewhere(step):
            self.counted(step)

    def counted(self, step: Step) -> None:
        """One item more of a node."""
        tally = self._tallies.setdefault(step.shown, Tally())
        tally.done += 1
        if self._on:
            self.emitter.emit(NodeProgress, step.shown, step=tally.done, total=tally.total, message="items")

    def _region_ended(self, step: Step) -> None:
        assert step.region is not None
        for id in step.region.members:
            shown = target_of(id)
            tally = self._tallies[shown]
            tally.regions -= 1
            if self._on and not tally.regions:
                self._items_ended(shown)

    def _items_ended(self, shown: str) -> None:
        tally = self._tallies[shown]
        if tally.ran:
            self._finished(shown, tally.seconds, tally.imports)
        else:
            self.emitter.emit(NodeCached, shown, tier="memory" if tally.done else "unneeded")

    def skipped(self, step: Step, absent: Absent) -> None:
        """A step is not computed, since something that it needs is absent."""
        if not self._on or step.gathers or step.region is not None:
            return
        failed = isinstance(absent, Failed)
        reason = str(absent.error) if isinstance(absent, Failed) else absent.reason
        if step.scope.visible is None:
            self.emitter.emit(NodeSkipped, step.shown, reason=reason, failed=failed, item=list(step.rank[1:]) or None)

    def retried(self, step: Step, cause: BaseException, attempt: int, most: int) -> None:
        """A call of a node failed, and the node is called again."""
        error = NodeError.of(step.shown, own_name(step.type.name), cause)
        log.warning("%s failed and is called again (%d of %d): %s", error.node, attempt, most, error.message)
        if self._on:
            self.emitter.emit(NodeRetried, step.shown, attempt=attempt, of=most, error=ErrorDetail.of(error))

    def failed(self, step: Step, cause: BaseException) -> NodeError:
        """The error that a run ends with, named after the node of the document."""
        error = NodeError.of(step.shown, own_name(step.type.name), cause)
        if where := place_of(step):
            inner = error
            error = NodeError(inner.node, inner.type, inner.exception, f"{where}: {inner.message}", inner.traceback)
            error.__cause__ = cause
        if self._on:
            self.emitter.emit(NodeFailed, step.shown, error=ErrorDetail.of(error))
        return error


def place_of(step: Step) -> str:
    """Where in the visible node a step is; "" when it is that node."""
    scope: Scope = step.scope
    parts = [scope.where] if scope.where else []
    if scope.visible is not None:
        parts.append(f"in {step.id} ({step.type.name})")
    return ", ".join(parts)
