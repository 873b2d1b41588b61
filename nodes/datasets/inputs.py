"""Inputs that several nodes of data sets share, and what their checks say of them. Light at import."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Annotated, Literal

from weft.engine import NodeView, Problem, Range, Widget
from weft.engine.declaring.called import raised_by_node
from weft.nodes.images.headers import MAX_PIXELS
from weft.nodes.sampling.sizes import nearest_sizes
from weft.nodes.training.errors import TrainingError
from weft.nodes.values.training import Role

MULTIPLE = 8
"""Of pixels that each side of a size has to be: a latent pixel of every supported family."""
Folder = Annotated[str, Widget("folder")]
RoleName = Literal["instance", "class", "validation"]
Small = Literal["enlarge", "skip", "refuse"]
Missing = Literal["refuse", "skip"]
Repeats = Annotated[int, Range(1, 10_000, usual=(1, 20))]
Side = Annotated[int, Range(0, 8192)]
Crops = Annotated[int, Range(1, 64, usual=(1, 8))]


@dataclass(frozen=True)
class ItemOptions:
    """What all items of a data set have in common. See `weft.nodes.values.training.Item`.

    small: what becomes of a picture that is smaller than `size`.
    """

    role: Role = "instance"
    concept: int = 0
    repeats: int = 1
    size: tuple[int, int] = (0, 0)
    crops: int = 1
    flip: bool = False
    small: Small = "enlarge"


def size_faults(width: object, height: object, multiple: int = MULTIPLE) -> Iterator[tuple[str, str]]:
    """What is wrong with a size, each with the input that it concerns; 0 x 0 is the model's own."""
    if not all(isinstance(side, int) and not isinstance(side, bool) for side in (width, height)):
        return
    assert isinstance(width, int)
    assert isinstance(height, int)
    for name, side in (("width", width), ("height", height)):
        if side % multiple:
            yield name, f"{name} {side} has to be a multiple of {multiple}: {nearest_sizes(side, multiple)}"
    if (width == 0) != (height == 0):
        yield "height" if width else "width", f"{width} x {height} is no size: give both sides, or 0 for both"
    if width * height > MAX_PIXELS:
        yield "width", f"{width:,} x {height:,} pixels are more than the {MAX_PIXELS:,} that a picture may have"


def size_problems(view: NodeView) -> Iterator[Problem]:
    """For a node's check: the inputs `width` and `height`."""
    for input, message in size_faults(view.literals.get("width"), view.literals.get("height")):
        yield Problem(code="bad_value", node=view.id, input=input, message=message, given=view.literals.get(input))


def found_problems(view: NodeView, input: str, look: Callable[[str], object]) -> Iterator[Problem]:
    """For a node's check: what `look` raises for each folder that an input names as a literal."""
    given = view.literals.get(input)
    for text in given if isinstance(given, list) else [given]:
        # That a folder is there and may be read, the engine looks at by itself.
        if not isinstance(text, str) or view.path(text) is None:
            continue
        try:
            look(text)
        except TrainingError as error:
            message = str(error) if str(error).endswith((".", "?")) else f"{error}."
            problem = Problem(code="bad_value", node=view.id, input=input, message=message, given=text)
            yield raised_by_node(problem)


def folder_check(look: Callable[[str, NodeView], object]) -> Callable[[NodeView], Iterator[Problem]]:
    """The check of a node with a size and the input `folder`, which is looked at as `found_problems` says."""

    def check(view: NodeView) -> Iterator[Problem]:
        yield from size_problems(view)
        yield from found_problems(view, "folder", lambda text: look(text, view))

    return check


def contents_with_masks(folder: str, masks: str) -> str:
    """The fingerprint of a node with the inputs `folder` and `masks`: what lies in both."""
    from weft.nodes.datasets.files import contents

    return contents(folder, masks)
