"""Windows: any technique in a part of the run only. It costs nothing outside."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, TypeVar

from weft.engine import NodeView, Output, Problem, Range, node
from weft.nodes.checks import BASE, CHANNELS, VIEWS, WRAPS, says, techniques_wired
from weft.nodes.values import Control, Guidance

T = TypeVar("T", Guidance, Control)


def _check(view: NodeView) -> Iterable[Problem]:
    """A window that does not end before it starts, around a technique that can act in a part of the run."""
    start, end = view.literals.get("start"), view.literals.get("end")
    if not (isinstance(start, (int, float)) and isinstance(end, (int, float))):
        return
    if start > end:
        message = f"the window ends, at {end}, before it starts, at {start}"
        yield Problem(code="bad_value", node=view.id, input="end", message=message, given=end, expected=start)
        return
    if start <= 0 and end >= 1:
        return
    for id, kind in techniques_wired(view, "technique"):
        reason = None
        if says(kind, VIEWS) and start != end:
            reason = "divides the canvas for the whole run"
        elif says(kind, CHANNELS) and not says(kind, BASE):
            reason = "gives the denoiser a part of its input, which it needs in every step"
        if reason is not None:
            message = f"{id} ({kind.name}) {reason}: {view.id} ({view.type.name}) cannot limit it to a part"
            yield Problem(code="conflict", node=view.id, input="technique", message=message, given=[start, end])


@node("during", category="guidance", tags=(WRAPS,), check=_check)
def during(
    technique: T,
    start: Annotated[float, Range(0.0, 1.0)] = 0.0,
    end: Annotated[float, Range(0.0, 1.0)] = 1.0,
) -> Annotated[T, Output("technique")]:
    """Let a technique act in a part of the run only.

    Outside, it is as if it were not wired, and costs nothing. A base such as `cfg` leaves the prompt's prediction
    unguided there (guidance intervals, arXiv 2404.07724). A technique with a window of its own, or windows within
    windows, act where all of them overlap.

    Args:
        technique: any guidance or control.
        start: where the window begins, as a fraction of the steps.
        end: where it ends; a step acts when all of it is inside. Equal to `start`, the technique is off.
    """
    if start > end:
        raise ValueError(f"the window ends, at {end:g}, before it starts, at {start:g}")
    return technique.narrowed((start, end))
