"""How far a node is and how fast it goes, told from its events."""

from __future__ import annotations

from dataclasses import dataclass

from weft.engine.events import NodeProgress, NodeResumed

ITEMS = "items"
"""What the engine's own progress of a node that runs once per item says; of all others the steps are a node's own."""


@dataclass(slots=True)
class Pace:
    """One node that runs, perhaps once per item of a list.

    Attributes:
        items: how many items there are as far as is known; 0 where it does not run per item.
        done: how many of these are there.
        step: steps made of the item at hand, or of the node. total: of how many; 0 where it reports none.
        message: what it said last.
    """

    items: int = 0
    done: int = 0
    step: int = 0
    total: int = 0
    message: str = ""
    _since: float | None = None
    _first: float = 0.0
    _now: float = 0.0
    _steps: int = 0
    _stepping: float = 0.0

    def take(self, event: NodeProgress | NodeResumed) -> None:
        """Take in one event of the node."""
        if isinstance(event, NodeResumed):
            self.step, self.total, self.message = event.steps, event.total, f"{event.steps} steps reused"
            self._begin(event.time)
        elif event.message == ITEMS:
            was_there = self.total > 0 and self.step == 0
            if not self.items:
                self._first /= max(event.total, 1)  # it was a part of one item, and now is one of all of them
            self.items, self.done, self.step = event.total, event.step, 0
            if self._since is None or was_there:
                self._begin(event.time)  # its result was there: that says nothing of how long the others take
        else:
            self._take_step(event)
        self._now = event.time

    def again(self, message: str) -> None:
        """The node failed and begins anew."""
        self.step, self.message = 0, message

    def _take_step(self, event: NodeProgress) -> None:
        first = self.total == 0
        if 0 < self.step < event.step:  # between two items other nodes run
            self._steps += event.step - self.step
            self._stepping += event.time - self._now
        self.step, self.total = event.step, event.total
        self.message = event.message or self.message
        if first:  # before it, models were loaded, or items were there
            self._begin(event.time)

    def _begin(self, time: float) -> None:
        self._since, self._first, self._now = time, self.fraction, time

    @property
    def fraction(self) -> float:
        """How much is done, from 0 to 1."""
        own = min(self.step / self.total, 1.0) if self.total else 0.0
        return min((self.done + own) / self.items, 1.0) if self.items else own

    @property
    def rate(self) -> float | None:
        """Steps a second, while it steps; None where that is not known yet."""
        return self._steps / self._stepping if self._stepping > 0 and self._steps else None

    @property
    def left(self) -> float | None:
        """Seconds that are left if it goes on like this; None where that is not known yet."""
        made = self.fraction - self._first
        if self._since is None or made <= 0 or self._now <= self._since:
            return None
        return (1 - self.fraction) / made * (self._now - self._since)

    @property
    def words(self) -> str:
        """All of it, such as `item 3 of 20, step 9 of 25, 4.2 steps/s, 12 s left`."""
        parts = []
        if self.items:
            parts.append(f"item {min(self.done + 1, self.items)} of {self.items}")
        if self.total and self.step:
            parts.append(f"step {self.step} of {self.total}")
        if self.rate is not None and self.total:
            parts.append(f"{self.rate:.1f} steps/s" if self.rate >= 1 else f"{1 / self.rate:.1f} s a step")
        if self.left is not None and self.fraction < 1:
            parts.append(f"{whole_time(self.left)} left")
        if self.message:
            parts.append(self.message)
        return ", ".join(parts)


def whole_time(seconds: float) -> str:
    """Seconds without a fraction: `42 s`, `3 min 5 s`, `1 h 20 min`."""
    count = round(seconds)
    if count < 60:
        return f"{count} s"
    minutes, rest = divmod(count, 60)
    return f"{minutes} min {rest} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"
