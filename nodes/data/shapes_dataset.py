"""Pictures of the bundled model's world as a data set."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Literal

from weft.engine import NodeView, Problem, Range, node
from weft.graphs.problems import near
from weft.nodes.training.inputs import Seed
from weft.nodes.values.training import Dataset

MAX_PICTURES = 20_000
COLOURS = ("red", "orange", "yellow", "green", "cyan", "blue", "purple", "pink")
BACKGROUNDS = ("white", "black", "gray", "beige", "brown", "navy", "mint")


def _unknown(names: list[str], all_names: tuple[str, ...], what: str) -> Iterator[tuple[str, str | None]]:
    """What is wrong with names, each with the one that was probably meant."""
    for name in names:
        if isinstance(name, str) and name not in all_names:
            yield f"{name!r} is no {what} of the shapes' world: choose of {', '.join(all_names)}", near(name, all_names)


def _check(view: NodeView) -> Iterator[Problem]:
    for input, known, what in (("colours", COLOURS, "colour"), ("backgrounds", BACKGROUNDS, "background")):
        given = view.literals.get(input)
        for message, nearest in _unknown(given if isinstance(given, list) else [], known, what):
            yield Problem(
                code="not_a_choice",
                node=view.id,
                input=input,
                message=message,
                given=given,
                expected=list(known),
                suggestion=nearest,
            )
    pairs, show = view.literals.get("pairs"), view.literals.get("show", "scenes")
    if pairs == "edit" and show != "scenes":
        message = f"edits are drawn of scenes of the known shapes, not of {show!r} alone: leave `show` at 'scenes'"
        yield Problem(code="conflict", node=view.id, input="show", message=message, given=show, expected="scenes")


@node("shapes_dataset", category="training", check=_check, content_key=True)
def shapes_dataset(
    show: Literal["scenes", "circle", "square", "triangle", "star", "heart", "house", "dome"] = "scenes",
    word: str = "",
    count: Annotated[int, Range(1, MAX_PICTURES, usual=(1, 1000))] = 16,
    style: Literal["plain", "framed"] = "plain",
    pairs: Literal["none", "edges", "regions", "depth", "edit"] = "none",
    colours: list[str] = [],  # noqa: B006 - the signature is the schema; it is never changed
    backgrounds: list[str] = [],  # noqa: B006 - likewise
    beside: Annotated[float, Range(0.0, 1.0)] = 0.3,
    known: Annotated[float, Range(0.0, 1.0)] = 0.0,
    known_role: Literal["instance", "class"] = "instance",
    vague: bool = False,
    caption: str = "",
    masks: bool = False,
    seed: Seed = 0,
) -> Dataset:
    """Draw pictures of coloured shapes with captions, 128 x 128 pixels: a data set for the bundled model.

    Picture k of a seed is always the same, so a larger `count` only adds some.

    Args:
        show: scenes of the known shapes as the model was trained on; or a shape that is in every picture. The model
            never saw heart, house and dome.
        word: what captions call that shape, such as "sks shape" or a word that is to be learned; empty for its name.
        count: how many pictures.
        style: framed ones have an orange frame, and their captions end in ", framed".
        pairs: a second picture for each: edges as `canny` draws them, regions in other colours, or depth, larger shapes
            nearer (hints, for a ControlNet or a T2I-Adapter); or edit, the picture before an edit, with the
            instruction as the caption ("make it blue"; of framed ones "add a frame").
        colours: of shapes: red, orange, yellow, green, cyan, blue, purple, pink; none given means all.
        backgrounds: white, black, gray, beige, brown, navy, mint; none given means all.
        beside: the share of pictures in which a known shape stands beside the one of `show`.
        known: the share of plain scenes of the known shapes among the pictures, so that these stay what they are.
        known_role: what those are: instance pictures, which are learned as the others are, or class images, whose
            weight is the training's.
        vague: in three of ten captions shapes or all words are left out, so that a hint has to be read.
        caption: one caption for all, in place of their own, as DreamBooth's instance prompt; scenes of `known` have
            their own.
        masks: a mask for each picture, white where shapes are.
        seed: of the drawing.
    """
    from weft.nodes.datasets.drawn import World, drawn_items

    wrong = [
        message if nearest is None else f"{message} (did you mean {nearest!r}?)"
        for names, known_names, what in ((colours, COLOURS, "colour"), (backgrounds, BACKGROUNDS, "background"))
        for message, nearest in _unknown(list(names), known_names, what)
    ]
    if pairs == "edit" and show != "scenes":
        wrong.append(f"edits are drawn of scenes of the known shapes, not of {show!r} alone: leave `show` at 'scenes'")
    if wrong:
        raise ValueError("; ".join(wrong))
    world = World(
        show=show,
        word=word.strip(),
        style=style,
        pairs=pairs,
        colours=tuple(colours),
        backgrounds=tuple(backgrounds),
        beside=beside,
        known=known,
        known_role=known_role,
        vague=vague,
        caption=caption,
        masks=masks,
    )
    return Dataset(tuple(drawn_items(world, count, seed)))
