"""The numbers of trainings as a picture."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated

from weft.engine import NodeView, Problem, Range, node
from weft.nodes.values import Image
from weft.nodes.values.training import Curve


def _check(view: NodeView) -> Iterator[Problem]:
    if view.literals.get("columns") == []:
        message = "no column is named: name at least one, such as loss."
        yield Problem(code="bad_value", node=view.id, input="columns", message=message, given=[])


@node("loss_curve", category="training", check=_check)
def loss_curve(
    curves: list[Curve],
    columns: list[str] = ["loss", "validation_loss"],  # noqa: B006 - the signature is the schema
    smoothing: Annotated[float, Range(0.0, 0.999)] = 0.0,
    log: bool = False,
    width: Annotated[int, Range(160, 4096, usual=(400, 1600))] = 800,
    height: Annotated[int, Range(120, 4096, usual=(300, 1200))] = 480,
    title: str = "",
    labels: list[str] = [],  # noqa: B006
) -> Image:
    """Draw the curves of trainings: the loss by step, and other numbers that they report.

    Args:
        curves: of one training or of several.
        columns: which numbers, each as a line of its own; those that a training does not have are left out. Trainings
            report loss, learning_rate, gradient_norm, and as it may be validation_loss and reward.
        smoothing: how much of the values before goes into each one; 0 draws them as they are, 0.9 shows the trend.
        log: powers of ten on the vertical axis; values that are not above 0 are left out.
        width: of the picture in pixels.
        height: likewise.
        title: a line above all.
        labels: what to call the trainings, one each.
    """
    from weft.nodes.images.charts import Line, chart

    if labels and len(labels) != len(curves):
        raise ValueError(f"there are {len(labels)} labels for {len(curves)} curves: give one each, or none")
    lines = []
    for number, curve in enumerate(curves):
        own = labels[number] if labels else (str(number + 1) if len(curves) > 1 else "")
        for column in columns:
            steps, values = curve.column(column)
            if steps:
                lines.append(Line(": ".join(filter(None, (own, column))), steps, smoothed(values, smoothing)))
    if not lines:
        known = sorted({name for curve in curves for name in curve.columns})
        raise ValueError(f"no curve has {' or '.join(columns)}; they have {', '.join(known) or 'no numbers'}")
    return Image(chart(lines, width, height, title, "step", log)[None])


def smoothed(values: list[float], share: float) -> list[float]:
    """Each value with a share of the average before it, of which the beginning is no part."""
    average, weight, results = 0.0, 0.0, []
    for value in values:
        if value - value != 0:  # infinite, or no number: it would spoil all that follow
            results.append(value)
            continue
        average, weight = share * average + (1 - share) * value, share * weight + (1 - share)
        results.append(average / weight)
    return results
