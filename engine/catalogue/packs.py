"""Installed packs: the entry points of the group `weft.nodes`, and what is told of a pack that cannot be used."""

from __future__ import annotations

import traceback
from collections.abc import Iterable
from dataclasses import dataclass
from importlib.metadata import Distribution, EntryPoint, distributions, entry_points

GROUP = "weft.nodes"
OURS = "weft.nodes"
"""The module of our own nodes, which stands in the same group."""


@dataclass(frozen=True, slots=True)
class Failure:
    """A pack, a file or a node that was left out, or a pack that brings no node."""

    origin: str
    message: str
    traceback: str

    def __str__(self) -> str:
        return f"{self.origin}: {self.message}"

    @classmethod
    def of(cls, origin: str, error: BaseException) -> Failure:
        """What an exception says, with where it was raised. To be called while it is handled."""
        return cls(origin, f"{error.__class__.__name__}: {error}", traceback.format_exc())


def installed_packs() -> tuple[list[EntryPoint], list[Failure]]:
    """The entry points of other packs by name, one for each module named, and what could not be read.

    Names are sorted, so that what two packs disagree about does not depend on where they are installed.
    """
    failures: list[Failure] = []
    points: Iterable[EntryPoint]
    try:
        points = entry_points(group=GROUP)
    except Exception:  # one broken package; the others are not to suffer from it
        points = _one_by_one(failures)
    named = {point.value: point for point in sorted(points, key=lambda point: (point.name, point.value), reverse=True)}
    named.pop(OURS, None)
    return list(reversed(named.values())), failures


def _one_by_one(failures: list[Failure]) -> list[EntryPoint]:
    points: list[EntryPoint] = []
    seen: set[str] = set()
    for distribution in distributions():
        name = _name(distribution)
        if name in seen:  # one that is earlier on the path hides it
            continue
        seen.add(name)
        try:
            points += distribution.entry_points.select(group=GROUP)
        except Exception as error:
            failures.append(Failure.of(f"the installed package {name}: its entry points cannot be read", error))
    return points


def _name(distribution: Distribution) -> str:
    try:
        return distribution.name
    except Exception:  # its metadata are broken too
        return f"in {distribution.locate_file('')}"


def title(point: EntryPoint) -> str:
    """How messages name a pack: by its entry point, and the installed package where that is called otherwise."""
    name = _name(point.dist) if point.dist is not None else point.name
    return f"pack {point.name!r}" if name == point.name or not name else f"pack {point.name!r} (installed as {name})"
