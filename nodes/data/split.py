"""Some pictures of a data set are held out."""

from __future__ import annotations

import dataclasses
from typing import Annotated

from weft.engine import Context, Output, Range, node
from weft.nodes.training.inputs import Seed
from weft.nodes.values.training import Dataset


@node("split", category="training", content_key=True)
def split(
    dataset: Dataset,
    share: Annotated[float, Range(0.0, 1.0)] = 0.1,
    count: Annotated[int, Range(0, 100_000)] = 0,
    seed: Seed = 0,
    ctx: Context | None = None,
) -> Annotated[Dataset, Output("dataset")]:
    """Hold out some of the instance pictures: they are measured during a training, and never learned from.

    Which ones is decided by the content of each picture alone. A picture that is added moves no other one, and equal
    pictures stay on one side. Class images, and pictures that are held out already, stay what they are.

    Args:
        dataset: to take them from.
        share: of the instance pictures; by chance it may be some more or fewer.
        count: how many pictures exactly, in place of `share`; 0 for `share`. A picture that is added takes the place of
            one of them at most.
        seed: another one holds out others.
    """
    from weft.nodes.datasets.buckets import rank
    from weft.nodes.training.errors import TrainingError

    ctx = ctx or Context()
    by_picture = {item.picture.digest: rank(item, seed) for item in dataset.of("instance")}
    if not by_picture:
        raise TrainingError("the data set has no instance pictures to hold some out")
    if count:
        held_out = set(sorted(by_picture, key=by_picture.__getitem__)[:count])
    else:
        held_out = {digest for digest, place in by_picture.items() if place < share}
    if len(held_out) == len(by_picture):
        raise TrainingError(
            f"all {len(by_picture)} instance pictures would be held out, and none be left to learn from: give a "
            "smaller share or count"
        )
    if not held_out and (share or count):
        ctx.log.warning(
            "no picture of %d is held out at a share of %g: give a `count` to hold out some", len(by_picture), share
        )
    items = (
        dataclasses.replace(item, role="validation")
        if item.role == "instance" and item.picture.digest in held_out
        else item
        for item in dataset.items
    )
    return Dataset(tuple(items), dataset.skipped)
