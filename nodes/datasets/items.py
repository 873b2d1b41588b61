"""From files and bytes to the items of a data set: what cannot be read is passed over and named. Light at import."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from weft.engine import Context
from weft.nodes.datasets.files import Seen, Size, listed, look, look_at_bytes
from weft.nodes.datasets.inputs import ItemOptions, Small
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
class Skipped:
    """What was passed over so far, and why, for `Dataset.skipped` and the log."""

    ctx: Context
    reasons: list[str] = field(default_factory=list)

    def add(self, reason: str) -> None:
        """Note one; the first ones are told."""
        if len(self.reasons) < TOLD:
            self.ctx.log.warning("%s: it is passed over", reason)
        self.reasons.append(reason)

    def rest(self) -> None:
        """Tell how many there were beyond those told."""
        if len(self.reasons) > TOLD:
            self.ctx.log.warning("%d more were passed over: see the data set", len(self.reasons) - TOLD)


def dataset_of(entries: Sequence[Entry], options: ItemOptions, ctx: Context, passed: Sequence[str] = ()) -> Dataset:
    """Look at each picture's header, and make items of those that are sound.

    passed: what was passed over before, for `Dataset.skipped`.

    Raises:
        TrainingError: none is sound, or some are smaller than they are to be and `small` refuses that.
        Cancelled: the run was cancelled.
    """
    skipped = Skipped(ctx)
    for reason in passed:
        skipped.add(reason)
    items: list[Item] = []
    too_few: list[str] = []
    shapes: list[str] = []
    for number, entry in enumerate(entries):
        if number % 16 == 0:
            ctx.progress(number, len(entries), "look at pictures")
        try:
            seen = _look(entry.picture, entry.name, ctx)
            condition = _maybe(entry.condition, f"{entry.name} (its condition)", ctx)
            mask = _maybe(entry.mask, f"{entry.name} (its mask)", ctx)
        except TrainingError as error:
            skipped.add(str(error))
            continue
        if (message := too_small(entry.name, seen.size, options.size)) is not None:
            if options.small == "skip":
                skipped.add(message)
                continue
            too_few.append(message)
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
    skipped.rest()
    if not items:
        raise TrainingError(f"no picture could be used: {listed(skipped.reasons, 5) or 'there is none'}")
    tell_small(too_few, options.small, ctx)
    if shapes:
        ctx.log.warning("pictures and conditions of other shapes are cut to one: %s", listed(shapes))
    return Dataset(tuple(items), tuple(skipped.reasons))


def _look(source: Source, name: str, ctx: Context) -> Seen:
    if isinstance(source, bytes):
        return look_at_bytes(source, name)
    return look(source, name, ctx.resolve_input_path)


def _maybe(source: Source | None, name: str, ctx: Context) -> Seen | None:
    return None if source is None else _look(source, name, ctx)


def _by(size: Size) -> str:
    return f"{size[0]} x {size[1]}"


def too_small(name: str, own: Size, wanted: Size) -> str | None:
    """Says that a picture has too few pixels to cover a size, (0, 0) being none; None where it has enough."""
    if own[0] >= wanted[0] and own[1] >= wanted[1]:
        return None
    return f"{name}: {_by(own)} pixels are fewer than {_by(wanted)}"


def tell_small(messages: Sequence[str], small: Small, ctx: Context) -> None:
    """Tell in the log which pictures are enlarged, by what `too_small` says of each.

    Raises:
        TrainingError: there are some, and `small` is refuse.
    """
    if messages and small == "refuse":
        raise TrainingError(
            f"{len(messages)} pictures would have to be enlarged: {listed(messages)}. Give larger ones or a smaller "
            "size, or set `small` to skip or enlarge"
        )
    if messages:
        ctx.log.warning("%d pictures are enlarged, which blurs them: %s", len(messages), listed(messages))


def differ(one: Size, other: Size) -> bool:
    """Whether two pictures are of clearly different shapes."""
    return abs(one[0] * other[1] / (one[1] * other[0]) - 1) > SAME_SHAPE
