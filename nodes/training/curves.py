"""Numbers of a training as text, and as TensorBoard reads them."""

from __future__ import annotations

import csv
import io
import json
import math
from pathlib import Path

from weft.nodes.values.training import Curve


def rows(curve: Curve) -> list[dict[str, float]]:
    """By step, in order: the step, and the numbers that it has."""
    found: dict[int, dict[str, float]] = {}
    for name in curve.columns:
        for step, number in zip(*curve.column(name), strict=True):
            found.setdefault(step, {"step": step})[name] = number
    return [found[step] for step in sorted(found)]


def table(curve: Curve) -> str:
    """A line a step, below the names of the columns. Numbers are written so that they are read back to the bit."""
    text = io.StringIO()
    writer = csv.DictWriter(text, ["step", *sorted(curve.columns)], lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows(curve))
    return text.getvalue()


def lines(curve: Curve) -> str:
    """An object of JSON a step; a number that is none is null."""
    known = [{name: item if math.isfinite(item) else None for name, item in row.items()} for row in rows(curve)]
    return "".join(json.dumps(row) + "\n" for row in known)


def tensorboard(curve: Curve, scratch: Path) -> bytes:
    """A file of events, in which a step takes a second.

    scratch: a folder for it while it is written.
    """
    from torch.utils.tensorboard import SummaryWriter

    folder = scratch / "events"
    with SummaryWriter(str(folder)) as writer:
        for name in sorted(curve.columns):
            for step, number in zip(*curve.column(name), strict=True):
                writer.add_scalar(name, number, step, walltime=step)
    (path,) = folder.iterdir()
    return path.read_bytes()
