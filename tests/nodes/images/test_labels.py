"""draw_text, and the labels of image_grid: beside pictures and not on them, and by themselves for mapped parts."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from weft.engine import Cache, check, run
from weft.engine.catalogue.catalogue import installed
from weft.graphs import Graph
from weft.nodes import collect, draw_text, image_grid, map_over, mask_to_image, rectangle_mask
from weft.nodes.images.headers import ImageFileError
from weft.nodes.images.lettering import MAX_CHARACTERS, broken, lettering, line_height, text_width
from weft.nodes.values import Image

BLUE = (0.0, 0.0, 1.0)


def plain(height: int = 40, width: int = 50, batch: int = 1, colour: tuple[float, ...] = BLUE) -> Image:
    return Image(torch.tensor(colour).expand(batch, height, width, 3).contiguous())


def is_blue(sheet: Image) -> np.ndarray:
    """Where a sheet (H, W) shows a picture."""
    return (sheet.pixels[0] == torch.tensor(BLUE)).all(dim=2).numpy()


def dark(sheet: Image) -> np.ndarray:
    """Where a white sheet has letters, (H, W)."""
    return (sheet.pixels[0].amax(dim=2) < 0.5).numpy()


def block(width: int, height: int) -> Image:
    return mask_to_image(rectangle_mask(width, height))


# -- letters


def test_long_text_wraps_at_spaces_and_long_words_anywhere() -> None:
    text = "a pink star left of a cyan circle"
    lines = broken(text, 12, 80)
    assert len(lines) > 1
    assert " ".join(lines) == text
    assert all(text_width(line, 12) <= 80 for line in lines)
    pieces = broken("x" * 100, 12, 50)
    assert "".join(pieces) == "x" * 100
    assert all(text_width(piece, 12) <= 50 for piece in pieces)


def test_what_does_not_fit_ends_in_dots() -> None:
    field = lettering("one two three four five six", 10, 30, 2 * line_height(10))
    assert field.shape[0] == 2 * line_height(10)
    assert broken("one two three four five six", 10, 30, 2)[-1].endswith("...")


def test_the_same_letters_each_time() -> None:
    assert torch.equal(lettering("seed 7", 14, 100), lettering("seed 7", 14, 100))
    assert not torch.equal(lettering("seed 7", 14, 100), lettering("seed 1", 14, 100))


@settings(max_examples=60, deadline=None)
@given(st.text(max_size=60), st.integers(1, 40), st.integers(1, 90), st.integers(1, 60))
def test_any_text_can_be_drawn(text: str, size: int, width: int, height: int) -> None:
    field = lettering(text, size, width, height)
    assert 1 <= field.shape[1] <= width
    assert field.shape[0] <= max(height, line_height(size))
    assert 0 <= float(field.min()) <= float(field.max()) <= 1


def test_half_a_pair_and_signs_that_are_no_letters() -> None:
    assert broken("a\ud800b\tc\x00", 12, 200) == ["a b c"]


def test_too_long_a_text_is_refused() -> None:
    with pytest.raises(ValueError, match="2,001 characters; at most 2,000"):
        lettering("x" * (MAX_CHARACTERS + 1), 12, 100)


# -- draw_text


@pytest.mark.parametrize("position", ["top left", "top", "top right", "left", "centre", "right", "bottom left"])
def test_text_stands_where_it_was_asked_for(position: str) -> None:
    image = draw_text(plain(60, 90), "Hi", position=position, size=12, colour="white", background="black")  # type: ignore[arg-type]
    changed = (image.pixels[0] != torch.tensor(BLUE)).any(dim=2)
    rows, columns = changed.any(dim=1).nonzero().flatten(), changed.any(dim=0).nonzero().flatten()
    assert (int(rows[0]) == 0) == ("top" in position)
    assert (int(rows[-1]) == 59) == ("bottom" in position)
    assert (int(columns[0]) == 0) == position.endswith("left")
    assert (int(columns[-1]) == 89) == position.endswith("right")
    assert float(image.pixels.max()) == 1.0
    assert len(rows) < 40
    assert len(columns) < 45


def test_a_list_labels_each_image_of_a_batch() -> None:
    image = draw_text(plain(batch=3), ["one", "two", "one"])
    assert torch.equal(image.pixels[0], image.pixels[2])
    assert not torch.equal(image.pixels[0], image.pixels[1])
    both = draw_text(plain(batch=2), "one")
    assert torch.equal(both.pixels[0], image.pixels[0])
    with pytest.raises(ValueError, match="there are 2 texts for 3 images"):
        draw_text(plain(batch=3), ["one", "two"])


def test_above_and_below_leave_every_pixel_of_the_picture() -> None:
    source = Image(torch.rand(2, 40, 50, 3, generator=torch.Generator().manual_seed(1)))
    above = draw_text(source, ["short", "a much longer text that takes lines"], position="above")
    below = draw_text(source, "short", position="below", background="white", colour="black")
    assert torch.equal(above.pixels[:, -40:], source.pixels)
    assert torch.equal(below.pixels[:, :40], source.pixels)
    assert above.pixels.shape[1] > below.pixels.shape[1] > 40


def test_without_a_background_only_letters_change_and_no_text_changes_nothing() -> None:
    with_field = draw_text(plain(), "Hi", size=12)
    without = draw_text(plain(), "Hi", size=12, background="")
    assert 0 < (without.pixels != plain().pixels).sum() < (with_field.pixels != plain().pixels).sum()
    assert torch.equal(draw_text(plain(), "").pixels, plain().pixels)


@pytest.mark.parametrize("position", ["above", "top left", "centre", "bottom right", "below"])
@pytest.mark.parametrize("size", [1, 40, 1000])
def test_letters_larger_than_the_picture(position: str, size: int) -> None:
    image = draw_text(plain(3, 2), "Wide text", position=position, size=size)  # type: ignore[arg-type]
    assert image.pixels.shape[2] == 2


def test_the_image_that_came_in_stays() -> None:
    source = plain()
    draw_text(source, "Hi")
    assert torch.equal(source.pixels, plain().pixels)


def test_wrong_settings_are_said_by_the_check() -> None:
    with Graph() as graph:
        picture = block(8, 8)
        draw_text(picture, "x" * 3000, colour="blau", background="")
        draw_text(picture, [])
    found = {(problem.input, problem.code) for problem in check(graph.workflow()) if problem.input}
    assert found == {("text", "too_large"), ("colour", "bad_value"), ("text", "bad_value")}


# -- labels of grids


def test_labels_do_not_cover_pictures() -> None:
    rows = [[plain(16, 16), plain(16, 16)], [plain(16, 16), plain(16, 16)]]
    bare = image_grid(rows, gap=3, axes=[])
    assert bare.pixels.shape == (1, 35, 35, 3), "two lists make two rows"
    for words in (
        {"axes": ["scale", [1.0, 16.0], "seed", [1, 2]]},
        {"axes": ["prompt", ["a pink star on a mint background", "b"], "pose", None], "title": "A sweep of two"},
        {"labels": ["one", "two", "three", "four"], "columns": 1},
        {"row_labels": ["r", 2], "column_labels": [0.5, "a column whose name is long"], "label_size": 20},
    ):
        sheet = image_grid(rows, gap=3, **words)  # type: ignore[arg-type]
        assert is_blue(sheet).sum() == 4 * 16 * 16
        assert dark(sheet).sum() > 50
        assert sheet.pixels.shape[1] > 35


def test_labels_stand_at_their_rows_and_columns() -> None:
    rows = [[plain(128, 128) for _ in range(3)] for _ in range(2)]
    sheet = image_grid(rows, axes=["scale", [1.0, 3.0], "seed", [1, 2, 3]])
    letters, pictures = dark(sheet), is_blue(sheet)
    top, left = int(pictures.any(axis=1).argmax()), int(pictures.any(axis=0).argmax())
    for column in range(3):
        at = left + column * 128
        above = letters[:top, at : at + 128].any(axis=0).nonzero()[0]
        assert abs((above[0] + above[-1]) / 2 - 64) < 3, "in the middle over its column"
    for row in range(2):
        at = top + row * 128
        beside = letters[at : at + 128, :left].any(axis=1).nonzero()[0]
        assert abs((beside[0] + beside[-1]) / 2 - 64) < 4
    assert not letters[:top, :left].any()
    assert not np.array_equal(letters[top : top + 128, :left], letters[top + 128 :, :left]), "1.0 is not 3.0"


def test_a_flat_list_has_captions_and_a_single_column_has_labels_beside_it() -> None:
    pictures = [plain() for _ in range(4)]
    captions = image_grid(list(pictures), columns=2, axes=["seed", [1, 2, 3, 4]])
    assert captions.pixels.shape[2] == 100
    assert captions.pixels.shape[1] > 80
    column = image_grid(list(pictures), columns=1, axes=["seed", [1, 2, 3, 4]])
    assert column.pixels.shape[1] == 160
    assert column.pixels.shape[2] > 50


def test_items_that_were_left_out_take_their_labels_with_them() -> None:
    """Nobody can tell which of the items a shorter list is made of, so it has none of their labels."""
    short = image_grid([plain(), plain()], columns=2, axes=["seed", [1, 2, 3]])
    assert torch.equal(short.pixels, image_grid([plain(), plain()], columns=2).pixels)
    ragged = image_grid([[plain(), plain()], [plain()]], axes=["scale", [1, 2], "seed", [1, 2]])
    rows_alone = image_grid([[plain(), plain()], [plain()]], axes=["scale", [1, 2]])
    assert torch.equal(ragged.pixels, rows_alone.pixels)


def test_a_batch_shares_the_label_of_its_item() -> None:
    one = image_grid([[plain(batch=2), plain()]], axes=["a", ["r"], "seed", [1, 2]])
    written = image_grid(
        [[plain(), plain(), plain()]], row_labels=["a: r"], column_labels=["seed 1", "seed 1", "seed 2"]
    )
    assert torch.equal(one.pixels, written.pixels)


def test_numbers_have_no_more_digits_than_they_need() -> None:
    noisy = image_grid([plain(), plain()], columns=2, axes=["scale", [0.1 + 0.2, 1.0]])
    assert torch.equal(
        noisy.pixels, image_grid([plain(), plain()], columns=2, labels=["scale 0.3", "scale 1.0"]).pixels
    )


def test_letters_can_be_read_on_a_dark_sheet() -> None:
    sheet = image_grid([plain()], labels=["Hi"], background="black")
    assert float(sheet.pixels[0].amin(dim=2).max()) > 0.9


def test_a_number_of_labels_that_does_not_fit_is_an_error() -> None:
    with pytest.raises(ValueError, match="there is 1 label for 2 columns"):
        image_grid([plain(), plain()], columns=2, column_labels=["a"])
    with pytest.raises(ValueError, match="there are 3 labels for 2 images"):
        image_grid([plain(), plain()], labels=["a", "b", "c"])
    with pytest.raises(ValueError, match="names and items in turn"):
        image_grid([plain()], axes=["seed"])
    with pytest.raises(ImageFileError, match="a grid of 1 x 1 images"):
        image_grid([Image(torch.zeros(1).expand(1, 8192, 8190, 3))], row_labels=["a"])


def sweep(**inputs: object) -> Graph:
    with Graph() as graph:
        width = map_over([20, 30], axis="width")
        height = map_over([10, 20, 30], axis="height")
        row = collect(block(width, height), axis="height")
        graph.returns(image_grid(collect(row, axis="width"), **inputs))  # type: ignore[arg-type]
    return graph


def made(graph: Graph) -> torch.Tensor:
    document = graph.workflow()
    (target,) = (id for id, spec in document.nodes.items() if spec.type == "image_grid")
    return run(document, [target], cache=Cache())[target].pixels


def test_a_grid_of_a_mapped_part_is_labelled_by_itself() -> None:
    rows = [[block(width, height) for height in (10, 20, 30)] for width in (20, 30)]
    labels = {"row_labels": ["width 20", "width 30"], "column_labels": ["height 10", "height 20", "height 30"]}
    assert torch.equal(made(sweep()), image_grid(list(rows), **labels).pixels)  # type: ignore[arg-type]
    assert torch.equal(made(sweep(axes=[])), image_grid(list(rows)).pixels)


def test_documents_of_version_1_stay_without_labels() -> None:
    with Graph() as graph:
        width = map_over([20, 30], axis="width")
        graph.returns(image_grid(collect(block(width, 10)), columns=2))
    document = graph.workflow().to_dict()
    (grid,) = (node for node in document["nodes"].values() if node["type"] == "image_grid")
    grid["version"] = 1
    (target,) = (id for id, node in document["nodes"].items() if node is grid)
    assert check(document, targets=[target], catalogue=installed()) == []
    old = run(document, [target], cache=Cache())[target].pixels
    assert old.shape == (1, 10, 60, 3)
    grid["version"] = 2
    assert run(document, [target], cache=Cache())[target].pixels.shape[1] > 10
