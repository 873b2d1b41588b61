"""A workflow as a picture, as SVG or PNG: `draw(Workflow.load("red.json"))`."""

from __future__ import annotations

from weft.graphs.document import Workflow
from weft.graphs.drawing.marks import Mark, Marks
from weft.graphs.drawing.raster import to_png
from weft.graphs.drawing.scene import make_scene
from weft.graphs.drawing.shapes import Describe, NodeShape, PortShape
from weft.graphs.drawing.svg import to_svg

__all__ = ["Describe", "Mark", "Marks", "NodeShape", "PortShape", "draw", "draw_png"]


def draw(
    workflow: Workflow,
    describe: Describe | None = None,
    *,
    legend: bool = True,
    marks: Marks | None = None,
    caption: str = "",
) -> str:
    """A workflow as SVG text, nodes from left to right in the order they depend on each other.

    A workflow that cannot run is drawn too: links to nowhere, missing inputs and circles are red.

    Args:
        workflow: what to draw.
        describe: from a node's type to its ports and their types; None (or a type it does not know) shows only
            what the document says.
        legend: name the colours at the bottom.
        marks: how the nodes of a run fared.
        caption: stands below the title in place of the description.
    """
    return to_svg(make_scene(workflow, describe, legend, marks, caption))


def draw_png(
    workflow: Workflow,
    describe: Describe | None = None,
    *,
    legend: bool = True,
    scale: float = 2.0,
    marks: Marks | None = None,
    caption: str = "",
) -> bytes:
    """The same picture as the bytes of a PNG with `scale` pixels per unit of the SVG.

    A very large workflow comes out at a smaller scale.

    Raises:
        ValueError: the workflow is too large for a PNG at all.
    """
    return to_png(make_scene(workflow, describe, legend, marks, caption), scale)
