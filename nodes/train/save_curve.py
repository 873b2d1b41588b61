"""Numbers of a training as a file: a table, lines of JSON, or what TensorBoard reads."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from importlib.util import find_spec
from typing import Literal

from weft.engine import Context, Files, NodeView, Problem, node
from weft.nodes.values.training import Curve

NEEDS = "The format tensorboard needs the package tensorboard, which is not installed here: `pip install tensorboard`."


def _check(view: NodeView) -> Iterator[Problem]:
    from weft.nodes.images.saving import stem_problem

    name = view.literals.get("name")
    message = stem_problem(name) if isinstance(name, str) else None
    if message:
        yield Problem(code="bad_value", node=view.id, input="name", message=message, given=name)
    if view.literals.get("format") == "tensorboard" and find_spec("tensorboard") is None:
        yield Problem(code="bad_value", node=view.id, input="format", message=NEEDS, given="tensorboard")


@node("save_curve", category="training", resource="io", output=True, side_files=True, check=_check)
def save_curve(
    curve: Curve,
    name: str,
    format: Literal["csv", "jsonl", "tensorboard"] = "csv",
    ctx: Context | None = None,
) -> Files:
    """Save the numbers of a training, such as its losses, by step.

    A file that exists is never overwritten: name.csv, name_2.csv and so on, as `save_image` has it.

    Args:
        curve: of a training.
        name: the file's name, without its suffix; may hold folders. Of tensorboard it is a folder with one file.
        format: csv has a line a step and a column each number, empty where a step has none; jsonl has an object a step;
            tensorboard is read by `tensorboard --logdir` and needs the package tensorboard.
    """
    from weft.nodes.images.saving import save_new, stem_problem
    from weft.nodes.training import curves

    ctx = ctx or Context()
    if (problem := stem_problem(name)) is not None:
        raise ValueError(problem)
    if format == "tensorboard":
        if find_spec("tensorboard") is None:
            raise ValueError(NEEDS)
        # TensorBoard knows its files by a part of their names.
        data, place, suffix = curves.tensorboard(curve, ctx.scratch), f"{name}/events.out.tfevents.0.weft", ""
    else:
        data = (curves.table(curve) if format == "csv" else curves.lines(curve)).encode()
        place, suffix = name, f".{format}"
    return Files.of(save_new(data, ctx.out, _series(place), suffix))


def _series(place: str) -> Callable[[int], str]:
    """Names by number: what ends in no suffix of its own has none that could be taken away."""
    return lambda number: place if number == 1 else f"{place}_{number}"
