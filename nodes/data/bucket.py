"""Each picture of a data set trained at a size of about its own shape."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from weft.engine import Context, NodeView, Output, Problem, Range, node
from weft.nodes.datasets.inputs import MULTIPLE, Small
from weft.nodes.values.training import Dataset, Item

if TYPE_CHECKING:
    from weft.nodes.datasets.files import Size


def _faults(size: object, step: object) -> Iterator[tuple[str, str]]:
    if not all(isinstance(number, int) and not isinstance(number, bool) for number in (size, step)):
        return
    assert isinstance(size, int)
    assert isinstance(step, int)
    if step % MULTIPLE:
        yield "step", f"step {step} has to be a multiple of {MULTIPLE}: sizes that a model can have are"
    if step > size:
        yield "step", f"steps of {step} pixels are larger than the size {size}: no picture would fit"


def _check(view: NodeView) -> Iterator[Problem]:
    for input, message in _faults(view.literals.get("size"), view.literals.get("step")):
        yield Problem(code="bad_value", node=view.id, input=input, message=message, given=view.literals.get(input))


@node("bucket", category="training", resource="io", check=_check, content_key=True)
def bucket(
    dataset: Dataset,
    size: Annotated[int, Range(8, 8192)] = 512,
    step: Annotated[int, Range(8, 1024)] = 64,
    max_ratio: Annotated[float, Range(1.0, 16.0)] = 2.0,
    small: Small = "enlarge",
    ctx: Context | None = None,
) -> Annotated[Dataset, Output("dataset")]:
    """Train each picture at a size of about its own shape, so that little of it is cut off (aspect-ratio buckets).

    Sizes have at most the area of a square of `size`, and sides in steps of `step`; each picture gets the one whose
    shape is nearest. A batch then holds pictures of one size. Class images are dealt out over the sizes of the instance
    pictures, since each batch needs some of its size. Only the first bytes of files are read here.

    Args:
        dataset: whose pictures get a size.
        size: side in pixels of the square that gives the area, such as the model's own size.
        step: in pixels, a multiple of 8. Larger steps make fewer sizes, which fill batches better.
        max_ratio: longest side to shortest; pictures that are longer still are cut to it.
        small: pictures with fewer pixels than their size: enlarge them and say so, skip them, or refuse all.
    """
    from weft.nodes.datasets.buckets import beside, bucket_sizes, suited
    from weft.nodes.datasets.files import listed
    from weft.nodes.datasets.items import Skipped, tell_small, too_small
    from weft.nodes.training.errors import TrainingError

    ctx = ctx or Context()
    if wrong := [message for _, message in _faults(size, step)]:
        raise TrainingError("; ".join(wrong))
    sizes = bucket_sizes(size, step, max_ratio)
    items: list[Item] = []
    skipped = Skipped(ctx)
    too_few: list[str] = []
    for number, item in enumerate(dataset.items):
        if number % 16 == 0:
            ctx.progress(number, len(dataset.items), "look at pictures")
        if item.role == "class":
            continue
        try:
            own = _size_of(item, ctx)
        except TrainingError as error:
            skipped.add(str(error))
            continue
        chosen = suited(own, sizes)
        if (message := too_small(item.picture.name, own, chosen)) is not None:
            if small == "skip":
                skipped.add(message)
                continue
            too_few.append(message)
        items.append(dataclasses.replace(item, size=chosen))
    skipped.rest()
    instances = [item for item in items if item.role == "instance"]
    if not instances:
        raise TrainingError(
            f"no picture is left to learn from: {listed(skipped.reasons, 5) or 'the data set has none'}"
        )
    tell_small(too_few, small, ctx)
    counts = Counter(item.size for item in instances)
    ctx.log.info("sizes: %s", ", ".join(f"{count} of {w} x {h}" for (w, h), count in sorted(counts.items())))
    classes = beside(dataset.of("class"), instances)
    return Dataset((*items, *classes), (*dataset.skipped, *skipped.reasons))


def _size_of(item: Item, ctx: Context) -> Size:
    """Width and height of a picture as it is shown.

    Raises:
        TrainingError: its file cannot be read, or changed.
    """
    from weft.nodes.datasets.files import look, look_at_bytes
    from weft.nodes.training.errors import TrainingError

    picture = item.picture
    if picture.path:
        seen = look(Path(picture.path), picture.name, ctx.resolve_input_path)
        if seen.picture.digest != picture.digest:
            raise TrainingError(f"{picture.name} changed since the data set was made: run its node again")
        return seen.size
    return look_at_bytes(picture.data, picture.name).size
