"""The numbers that an input takes."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Range:
    """The numbers an input takes, ends included; None leaves a side open.

    Args:
        usual: from where to where it mostly is, for a slider; values outside of it are right all the same.

    Raises:
        ValueError: `usual` does not lie within the range.
    """

    low: float | None = None
    high: float | None = None
    usual: tuple[float, float] | None = None

    def __post_init__(self) -> None:
        # `Range(0.0)` and `Range(0)` are equal, so typing hands out either for both: they have to look the same too.
        for name in ("low", "high"):
            object.__setattr__(self, name, _whole(getattr(self, name)))
        if self.usual is not None:
            object.__setattr__(self, "usual", tuple(map(_whole, self.usual)))
            if not self.usual[0] < self.usual[1] or not all(end in self for end in self.usual):
                raise ValueError(f"the usual values {self.usual} are no part of {self}")

    def __contains__(self, number: float) -> bool:
        return (self.low is None or number >= self.low) and (self.high is None or number <= self.high)

    def __str__(self) -> str:
        if self.low is None or self.high is None:
            return f"at least {self.low}" if self.low is not None else f"at most {self.high}"
        return f"{self.low} to {self.high}"


def _whole(bound: float | None) -> float | None:
    return int(bound) if isinstance(bound, float) and bound.is_integer() else bound
