"""`Skip`: what a node returns in place of a value that is not to be made."""

from __future__ import annotations

from dataclasses import dataclass

from weft.engine.values import value


@value("skip")
@dataclass(frozen=True)
class Skip:
    """In place of a node's value: nothing that needs this value runs, and nothing has failed.

        @node("sharp_only")
        def sharp_only(image: Image) -> Image | Skip:
            return image if sharpness(image) > 0.4 else Skip("the picture is not sharp")

    Where nodes run per item, only this item's part is left out, and so is its place in what `collect` gathers. A node
    with several outputs may return it for some of them. In a list that `map_over` goes along it leaves out one item.

    Args:
        reason: in words, for whoever looks why something was not made.
    """

    reason: str = ""
