"""From files and bytes to the items of a data set: what cannot be read is passed over and named. Light at import."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from weft.engine import Context
from weft.nodes.datasets.files import Seen, Size, listed, look, look_at_bytes
from weft.nodes.datasets.inputs import ItemOptions
from weft.nodes.training.errors import TrainingError
from weft.nodes.values.training import Dataset, Item

TOLD = 10
"""Pictures that are named one by one in the log; the data set names all."""
SAME_SHAPE = 0.02
"""By how much the ratios of the sides of two pictures of a pair may differ."""

Source = Path | bytes


@dataclass(frozen=True)
class Entry:
    """A picture with what belongs to it, before it was looked at. name: for messages."""

    name: str
    picture: Source
    caption: str = ""
    condition: Source | None = None
    mask: Source | None = None


@dataclass
class Passed:
    """What was passed over so far, and told in the log."""

    ctx: Context
    names: list[str] = field(default_factory=list)

    def over(self, message: str) -> None:
        """Note one; the first ones are told."""
        if len(self.names) < TOLD:
            self.ctx.log.warning("%s: it is passed over", message)
        self.names.append(message)

    def rest(self) -> None:
        """Tell how many there were beyond those told."""
        if len(self.names) > TOLD:
            self.ctx.log.warning("%d more were passed over: see the data set", len(self.names) - TOLD)


def dataset_of(entries: Sequence[Entry], options: ItemOptions, ctx: Context, passed: Sequence[str] = ()) -> Dataset:
    """Look at each picture's header, and make items of those that are sound.

    passed: what was passed over before, for `Dataset.skipped`.

    Raises:
        TrainingError: none is sound, or some are smaller than they are to be and `small` refuses that.
        Cancelled: the run was cancelled.
    """
    over = Passed(ctx)
    for message in passed:
        over.over(message)
    items: list[Item] = []
    little: list[str] = []
    shapes: list[str] = []
    for number, entry in enumerate(entries):
        if number % 16 == 0:
            ctx.progress(number, len(entries), "look at pictures")
        try:
            seen = _look(entry.picture, entry.name, ctx)
            condition = _maybe(entry.condition, f"{entry.name} (its condition)", ctx)
            mask = _maybe(entry.mask, f"{entry.name} (its mask)", ctx)
        except TrainingError as error:
            over.over(str(error))
            continue
        if enlarged(seen.size, options.size):
            width, height = options.size
            told = f"{entry.name}: {seen.size[0]} x {seen.size[1]} pixels are fewer than {width} x {height}"
            if options.small == "skip":
                over.over(told)
                continue
            little.append(told)
        if condition is not None and differ(seen.size, condition.size):
            shapes.append(f"{entry.name} ({_by(seen.size)} and {_by(condition.size)})")
        items.append(
            Item(
                picture=seen.picture,
                caption=entry.caption,
                condition=None if condition is None else condition.picture,
                mask=None if mask is None else mask.picture,
                role=options.role,
                concept=options.concept,
                repeats=options.repeats,
                size=options.size,
                crops=options.crops,
                flip=options.flip,
            )
        )
    over.rest()
    if not items:
        raise TrainingError(f"no picture could be used: {listed(over.names, 5) or 'there is none'}")
    if little and options.small == "refuse":
        raise TrainingError(
            f"{len(little)} pictures would have to be enlarged: {listed(little)}. Give larger ones or a smaller size, "
            "or set `small` to skip or enlarge"
        )
    if little:
        ctx.log.warning("%d pictures are enlarged, which blurs them: %s", len(little), listed(little))
    if shapes:
        ctx.log.warning("pictures and conditions of other shapes are cut to one: %s", listed(shapes))
    return Dataset(tuple(items), tuple(over.names))


def _look(source: Source, name: str, ctx: Context) -> Seen:
    if isinstance(source, bytes):
        return look_at_bytes(source, name)
    return look(source, name, ctx.resolve_input_path)


def _maybe(source: Source | None, name: str, ctx: Context) -> Seen | None:
    return None if source is None else _look(source, name, ctx)


def _by(size: Size) -> str:
    return f"{size[0]} x {size[1]}"


def enlarged(own: Size, wanted: Size) -> bool:
    """Whether a picture has too few pixels to cover a size; (0, 0) wants none."""
    return own[0] < wanted[0] or own[1] < wanted[1]


def differ(one: Size, other: Size) -> bool:
    """Whether two pictures are of clearly different shapes."""
    return abs(one[0] * other[1] / (one[1] * other[0]) - 1) > SAME_SHAPE
