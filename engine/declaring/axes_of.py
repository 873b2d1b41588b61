"""How a node asks for the axes over which a list was made that it is given."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class AxesOf:
    """Which axes the list at another input was gathered over: `axes: Annotated[list[Any] | None, AxesOf("images")]`.

    Where a document says nothing here and the other input is linked to a `collect`, the engine fills in, for each
    axis, the outermost first, its name ("" where it has none) and its items, in turn: `["scale", [1.0, 3.0], "seed",
    [1, 2]]`. Items that are no texts, numbers or truth values are None; one that a node makes is that node's id. The
    default has to be None.
    """

    input: str
