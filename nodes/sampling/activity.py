"""Which techniques act at which call, found once before a run."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from weft.nodes.technique import Technique

HOOKS = ("guide", "branches", "channels", "residuals", "attention", "second", "combine", "after_step")


@dataclass(frozen=True, eq=False)
class Active:
    """The techniques active at one call: by hook, only those that override it, in their order.

    wanted: roles that active techniques read from the base.
    """

    wanted: frozenset[str]
    guide: tuple[Technique, ...]
    branches: tuple[Technique, ...]
    channels: tuple[Technique, ...]
    residuals: tuple[Technique, ...]
    attention: tuple[Technique, ...]
    second: tuple[Technique, ...]
    combine: tuple[Technique, ...]
    after_step: tuple[Technique, ...]


def overrides(technique: Technique, hook: str) -> bool:
    """Whether a technique's class has its own form of a hook."""
    return getattr(type(technique), hook) is not getattr(Technique, hook)


def expand(techniques: Iterable[Technique]) -> list[Technique]:
    """All parts of the techniques, sorted by `order`; equal places keep the order given."""
    parts = [part.narrowed(technique.window) for technique in techniques for part in technique.expand()]
    return sorted(parts, key=lambda part: part.order)


def activity(ordered: Sequence[Technique], calls: int) -> list[Active]:
    """For each call what is active. Equal sets share one object."""
    known: dict[tuple[bool, ...], Active] = {}
    timeline = []
    for index in range(calls):
        mask = tuple(technique.inside(index, calls) for technique in ordered)
        if mask not in known:
            present = [technique for technique, on in zip(ordered, mask, strict=True) if on]
            rows = [technique for technique, on in zip(ordered, mask, strict=True) if on or technique.base]
            hooks: dict[str, Any] = {hook: tuple(t for t in rows if overrides(t, hook)) for hook in HOOKS}
            hooks["combine"] = tuple(t for t in hooks["combine"] if t in present)
            known[mask] = Active(frozenset().union(*(technique.needs for technique in present)), **hooks)
        timeline.append(known[mask])
    return timeline
