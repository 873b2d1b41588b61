"""Pictures of workflows: everything is shown, nothing overlaps, and hostile or huge ones are drawn as well."""

from __future__ import annotations

import dataclasses
import io
import itertools
import re
from xml.etree import ElementTree

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.graphs.documents import chain, workflows
from weft.graphs import Link, NodeSpec, Parameter, Workflow, examples
from weft.graphs.draw import NodeShape, PortShape, draw, draw_png
from weft.graphs.drawing import palette, text
from weft.graphs.drawing.place import _nearest_apart
from weft.graphs.drawing.raster import to_png
from weft.graphs.drawing.scene import Scene, make_scene

SHAPES = {
    "load": NodeShape((), (PortShape("model", "Model"),)),
    "encode": NodeShape(
        (PortShape("model", "Model", required=True), PortShape("text", "str")), (PortShape("out", "Conditioning"),)
    ),
    "loop": NodeShape(
        (PortShape("model", "Model", required=True), PortShape("guidance", "list[Guidance]", many=True)),
        (PortShape("latents", "Latents"), PortShape("trajectory", "Trajectory")),
    ),
}


def small() -> Workflow:
    return Workflow(
        meta={"title": "Small & <fine>"},
        nodes={
            "model": NodeSpec(type="load", inputs={"source": "shapes"}),
            "words": NodeSpec(type="encode", inputs={"model": Link("model"), "text": "a red circle " * 20}),
            "loop": NodeSpec(type="loop", version=2, inputs={"model": Link("model"), "guidance": [Link("words")]}),
        },
        parameters={"source": Parameter(input="model.source")},
    )


def texts(svg: str) -> list[str]:
    return [element.text or "" for element in ElementTree.fromstring(svg).iter("{http://www.w3.org/2000/svg}text")]


def test_nodes_ports_values_and_types_are_shown() -> None:
    svg = draw(small(), SHAPES.get)
    shown = texts(svg)
    for expected in ("Small & <fine>", "model", "load", "source", "shapes", "loop v2", "trajectory", "Conditioning"):
        assert expected in shown
    for kind in ("Model", "Conditioning"):
        assert f'stroke="{palette.type_colour(kind)}"' in svg
    assert shown.count("text") == 1
    assert any(line.endswith(text.ELLIPSIS) for line in shown), "the long prompt is cut"
    assert f'fill="{palette.ACCENT}"' in svg, "what can be set stands out"
    assert texts(draw(small(), SHAPES.get, legend=False)).count("Conditioning") == 0


def test_without_a_catalogue_the_document_is_enough() -> None:
    shown = texts(draw(small()))
    assert "words" in shown
    assert "guidance" in shown
    assert "trajectory" not in shown


@pytest.mark.parametrize("name", examples.names())
def test_boxes_stand_apart_and_links_run_to_the_right(name: str) -> None:
    scene = make_scene(examples.load(name))
    apart(scene)
    assert all(curve.start[0] < curve.end[0] for curve in scene.curves)
    assert all(0 <= y <= scene.height for curve in scene.curves for _, y in (curve.start, curve.end))


def apart(scene: Scene) -> None:
    for one, two in itertools.combinations(scene.boxes, 2):
        beside = one.x + one.width < two.x or two.x + two.width < one.x
        above = one.y + one.height < two.y or two.y + two.height < one.y
        assert beside or above, (one.id, two.id)
    for box in scene.boxes:
        assert box.x >= 0
        assert box.y >= 0
        assert box.x + box.width <= scene.width
        assert box.y + box.height <= scene.height


def test_links_that_pass_a_column_lead_around_its_boxes() -> None:
    scene = make_scene(examples.load("sweep"))
    for curve in scene.curves:
        (x0, y0), (x1, y1) = curve.start, curve.end
        if y0 == y1:
            for box in scene.boxes:
                inside = box.x < x1 and x0 < box.x + box.width and box.y < y0 < box.y + box.height
                assert not inside, (curve, box.id)


def test_a_simple_chain_is_drawn_straight() -> None:
    scene = make_scene(chain(6))
    assert len({box.y for box in scene.boxes}) <= 2  # the first has no input and is lower by nothing or one row
    assert all(curve.start[1] == curve.end[1] for curve in scene.curves)
    assert [box.x for box in scene.boxes] == sorted(box.x for box in scene.boxes)


def test_crossings_that_can_be_avoided_are() -> None:
    # Three pairs, written in an order that crosses all of them.
    nodes = {f"a{i}": NodeSpec(type="t") for i in range(3)}
    nodes |= {f"b{i}": NodeSpec(type="t", inputs={"x": Link(f"a{2 - i}")}) for i in range(3)}
    scene = make_scene(Workflow(nodes=nodes))
    ends = sorted((curve.start[1], curve.end[1]) for curve in scene.curves)
    assert [end for _, end in ends] == sorted(end for _, end in ends)


def test_what_is_wrong_is_red() -> None:
    broken = Workflow(
        nodes={
            "a": NodeSpec(type="loop", inputs={"guidance": [Link("b"), Link("a"), 3]}),
            "b": NodeSpec(type="loop", inputs={"model": Link("gone.model"), "guidance": [Link("a")]}),
        }
    )
    svg = draw(broken, SHAPES.get)
    assert "gone.model" in texts(svg)
    assert len(re.findall(f'<path d="[^"]*" stroke="{palette.WRONG}" stroke-dasharray', svg)) == 2
    assert f'fill="{palette.CARD}" stroke="{palette.WRONG}"' in svg, "the input that is missing"
    apart(make_scene(broken, SHAPES.get))


@settings(max_examples=30, deadline=None)
@given(workflows())
def test_any_workflow_is_drawn_as_well_formed_xml(workflow: Workflow) -> None:
    ElementTree.fromstring(draw(workflow))
    ElementTree.fromstring(draw(workflow, SHAPES.get))
    apart(make_scene(workflow))


def test_text_of_a_workflow_is_not_markup() -> None:
    hostile = "</text><script>alert(1)</script>\x00\x1b&"
    workflow = Workflow(meta={"title": hostile}, nodes={"a": NodeSpec(type=hostile, inputs={hostile: hostile})})
    svg = draw(workflow, lambda _: NodeShape((), (PortShape(hostile, hostile),)))
    assert "<script" not in svg
    ElementTree.fromstring(svg)


@pytest.mark.parametrize("legend", [True, False])
def test_an_empty_workflow_is_a_picture_too(legend: bool) -> None:
    ElementTree.fromstring(draw(Workflow(), legend=legend))
    assert draw_png(Workflow(), legend=legend).startswith(b"\x89PNG")


def test_10_000_nodes_are_drawn() -> None:
    hub = {"hub": NodeSpec(type="t")}
    for i in range(9_999):
        last = f"n{i - 1}" if i else "hub"
        hub[f"n{i}"] = NodeSpec(type="t", inputs={"x": Link(last), "hub": Link("hub")})
    assert draw(Workflow(nodes=hub)).count("<title>") == 10_001


def test_a_png_takes_no_more_memory_than_a_large_photo() -> None:
    scene = make_scene(small())
    with pytest.raises(ValueError, match="draw it as SVG"):
        to_png(dataclasses.replace(scene, width=1e5, height=1e5))
    from PIL import Image

    with Image.open(io.BytesIO(to_png(dataclasses.replace(scene, width=9_000, height=9_000)))) as image:
        assert image.size == (4_500, 4_500)


def test_a_png_shows_the_same_picture() -> None:
    from PIL import Image

    scene = make_scene(small(), SHAPES.get)
    with Image.open(io.BytesIO(draw_png(small(), SHAPES.get, scale=1.0))) as image:
        assert image.size == (round(scene.width), round(scene.height))
        colours = {colour for _, colour in image.convert("RGB").getcolors(1 << 24) or []}
    for colour in (
        palette.PAPER,
        palette.CARD,
        palette.type_colour("Model"),
        palette.tint(palette.type_colour("Model")),
    ):
        assert tuple(bytes.fromhex(colour[1:])) in colours


def test_a_type_has_its_colour_however_it_is_written() -> None:
    for name in ("list[Latents]", "Latents | None", "latents"):
        assert palette.type_colour(name) == palette.type_colour("Latents")
    assert palette.type_colour("Image") != palette.type_colour("Mask")
    assert palette.type_colour("str") == palette.type_colour("int") == palette.PLAIN
    assert palette.type_colour("Depth") == palette.type_colour("Depth")


def test_text_is_cut_and_wrapped_to_the_room_there_is() -> None:
    cut = text.cut("a long line of words", 60, 12)
    assert cut.endswith(text.ELLIPSIS)
    assert text.width(cut, 12) <= 60
    assert text.cut("short", 60, 12) == "short"
    lines = text.wrap("one two three four five six seven eight nine", 60, 12, 3)
    assert len(lines) == 3
    assert all(text.width(line, 12) <= 60 for line in lines)
    assert text.width("\u4e2d", 10) == 10


@given(st.lists(st.tuples(st.floats(-100, 100), st.floats(0.1, 5), st.floats(0, 30)), min_size=1, max_size=8))
def test_places_are_apart_and_nearest(items: list[tuple[float, float, float]]) -> None:
    wanted, weights, steps = [list(column) for column in zip(*items, strict=True)]
    steps = steps[:-1]
    found = _nearest_apart(wanted, weights, steps)

    def cost(places: list[float]) -> float:
        return sum(w * (place - want) ** 2 for place, want, w in zip(places, wanted, weights, strict=True))

    for (low, high), step in zip(itertools.pairwise(found), steps, strict=True):
        assert high - low >= step - 1e-6
    # No single place, and no run of neighbours, can move and be better.
    for start, end in itertools.combinations(range(len(found) + 1), 2):
        for move in (-0.01, 0.01):
            moved = [place + move * (start <= index < end) for index, place in enumerate(found)]
            legal = all(b - a >= s - 1e-9 for (a, b), s in zip(itertools.pairwise(moved), steps, strict=True))
            assert not legal or cost(moved) >= cost(found) - 1e-4
