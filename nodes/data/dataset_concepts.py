"""Several concepts in one data set."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from typing import Annotated

from weft.engine import Context, NodeView, Output, Problem, Widget, node
from weft.nodes.datasets.inputs import (
    Crops,
    ItemOptions,
    Repeats,
    Side,
    Small,
    found_problems,
    size_problems,
)
from weft.nodes.values.training import Dataset, Item, Role

Folders = Annotated[list[str], Widget("folder")]


def _fingerprint(folders: Sequence[str], class_folders: Sequence[str]) -> str:
    from weft.nodes.datasets.files import contents

    return contents(*folders, *class_folders)


def _misfits(folders: object, captions: object, class_folders: object, class_captions: object) -> Iterator[str]:
    """What is wrong with the lengths of the lists."""
    lists = [item for item in (folders, captions, class_folders, class_captions) if isinstance(item, (list, tuple))]
    if len(lists) < 4:
        return
    concepts, prompts, classes, class_prompts = map(len, lists)
    if not concepts:
        yield "no concept is given: name a folder of pictures for each"
    elif prompts != concepts:
        yield f"{prompts} captions are given for {concepts} folders: give one each"
    if classes and classes != concepts:
        yield f"{classes} folders of class pictures are given for {concepts} concepts: give one each, or none"
    elif class_prompts != classes:
        yield f"{class_prompts} captions are given for {classes} folders of class pictures: give one each"


def _check(view: NodeView) -> Iterator[Problem]:
    from weft.nodes.datasets.files import files_in, folder_at, pictures_among

    yield from size_problems(view)
    names = ("folders", "captions", "class_folders", "class_captions")
    for message in _misfits(*(view.literals.get(name) for name in names)):
        yield Problem(code="bad_value", node=view.id, message=message)
    recursive = view.literals.get("recursive") is not False

    def look(text: str) -> None:
        folder = folder_at(text, view.resolve)
        pictures_among(folder, files_in(folder, recursive))

    for input in ("folders", "class_folders"):
        yield from found_problems(view, input, look)


@node("dataset_concepts", category="training", resource="io", fingerprint=_fingerprint, check=_check, content_key=True)
def dataset_concepts(
    folders: Folders,
    captions: list[str],
    class_folders: Folders = [],  # noqa: B006 - the signature is the schema; it is never changed
    class_captions: list[str] = [],  # noqa: B006 - likewise
    recursive: bool = False,
    repeats: Repeats = 1,
    width: Side = 0,
    height: Side = 0,
    crops: Crops = 1,
    flip: bool = False,
    small: Small = "enlarge",
    ctx: Context | None = None,
) -> Dataset:
    """A data set of several concepts: a folder and a caption each, and class pictures with their caption.

    As the `concepts_list` of DreamBooth and Custom Diffusion trainers: "photo of a <new1> cat" and "photo of a <new2>
    dog", with class pictures "cat" and "dog". To have captions of their own for pictures, join data sets instead
    (`join_datasets`).

    Args:
        folders: with the pictures of each concept.
        captions: of each concept's pictures.
        class_folders: with class pictures of each concept, which keep what the model knew; none, or one each.
        class_captions: of each concept's class pictures.
        recursive: look into the folders in them too.
        repeats: how often each picture of a concept comes in an epoch; class pictures come as they are needed.
        width: in pixels that they are trained at, a multiple of 8; 0 and 0 is the model's own size.
        height: likewise.
        crops: places at which a picture of another shape is cut, the middle first; each step takes one of them.
        flip: half of the steps see a picture mirrored, left to right.
        small: pictures with fewer pixels than that: enlarge them and say so, skip them, or refuse all.
    """
    from weft.nodes.datasets.files import folder_at
    from weft.nodes.datasets.items import dataset_of
    from weft.nodes.datasets.layouts import plain
    from weft.nodes.training.errors import TrainingError

    ctx = ctx or Context()
    if wrong := list(_misfits(folders, captions, class_folders, class_captions)):
        raise TrainingError("; ".join(wrong))
    items: list[Item] = []
    passed: list[str] = []
    roles: tuple[tuple[Role, Sequence[str], Sequence[str], int], ...] = (
        ("instance", folders, captions, repeats),
        ("class", class_folders, class_captions, 1),
    )
    for role, places, texts, times in roles:
        for concept, (place, text) in enumerate(zip(places, texts, strict=True)):
            layout = plain(folder_at(place, ctx.resolve_input_path), text, recursive)
            options = ItemOptions(role, concept, times, (width, height), crops, flip, small)
            part = dataset_of(layout.entries, options, ctx, layout.passed)
            items.extend(part.items)
            passed.extend(part.skipped)
    return Dataset(tuple(items), tuple(passed))


@node("join_datasets", category="training", content_key=True)
def join_datasets(datasets: list[Dataset], number: bool = False) -> Annotated[Dataset, Output("dataset")]:
    """All pictures of several data sets in one, in their order.

    Args:
        datasets: such as the pictures of a subject and class images.
        number: count the concepts on from one data set to the next, so that no two have the same number; without it,
            each picture keeps that of its data set.
    """
    datasets = [datasets] if isinstance(datasets, Dataset) else list(datasets)
    if not datasets:
        raise ValueError("no data set is given to join: link at least one")
    items: list[Item] = []
    first = 0
    for dataset in datasets:
        items.extend(
            dataclasses.replace(item, concept=first + item.concept) if number else item for item in dataset.items
        )
        first += 1 + max((item.concept for item in dataset.items), default=-1)
    return Dataset(tuple(items), tuple(reason for dataset in datasets for reason in dataset.skipped))
