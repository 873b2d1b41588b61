"""Curves of trainings as pictures."""

from __future__ import annotations

import itertools

import pytest
import torch

from weft.nodes import loss_curve
from weft.nodes.images.charts import COLOURS, powers, ticks
from weft.nodes.train.loss_curve import smoothed
from weft.nodes.values.training import Curve


def curve(values: list[float], **more: list[float]) -> Curve:
    columns = {"loss": values, **more}
    return Curve(
        {name: (torch.arange(1, len(own) + 1), torch.tensor(own, dtype=torch.float64)) for name, own in columns.items()}
    )


def heights(pixels: torch.Tensor, number: int) -> dict[int, float]:
    """The mean row, by column of pixels, of what is drawn in a line's colour below the legend."""
    wanted = torch.tensor(COLOURS[number]) / 255
    there = ((pixels - wanted).abs().amax(dim=-1) < 0.1)[60:]
    return {x: float(there[:, x].nonzero().float().mean()) for x in range(there.shape[1]) if there[:, x].any()}


def test_a_line_goes_where_its_numbers_are() -> None:
    pixels = loss_curve([curve([1.0, 0.8, 0.6, 0.4, 0.2])], width=400, height=300).pixels[0]
    assert pixels.shape == (300, 400, 3)
    rows = heights(pixels, 0)
    places = sorted(rows)
    assert places[-1] - places[0] > 300
    middle = rows[min(places, key=lambda x: abs(x - (places[0] + places[-1]) // 2))]
    assert rows[places[0]] < middle < rows[places[-1]]
    assert middle == pytest.approx((rows[places[0]] + rows[places[-1]]) / 2, abs=4)


def test_powers_of_ten_make_a_straight_line_of_halves() -> None:
    falling = [2.0**-number for number in range(9)]
    for log, straight in ((True, True), (False, False)):
        rows = heights(loss_curve([curve(falling)], log=log, width=400, height=300).pixels[0], 0)
        places = sorted(rows)
        middle = rows[min(places, key=lambda x: abs(x - (places[0] + places[-1]) // 2))]
        assert (abs(middle - (rows[places[0]] + rows[places[-1]]) / 2) < 5) == straight


@pytest.mark.parametrize("log", [False, True])
@pytest.mark.parametrize("values", [[0.1] * 50, [0.5], [1e-9, 1e9], [3.0, float("nan"), 2.0, float("inf"), 1.0]])
def test_constants_single_points_and_what_is_no_number(values: list[float], log: bool) -> None:
    pixels = loss_curve([curve(values)], log=log).pixels
    assert bool(torch.isfinite(pixels).all())
    assert heights(pixels[0], 0)


def test_several_columns_and_curves_have_colours_of_their_own() -> None:
    two = loss_curve([curve([1.0, 0.5], validation_loss=[0.4, 0.2]), curve([0.8, 0.7])]).pixels[0]
    assert all(heights(two, number) for number in range(3))
    assert not heights(two, 3)
    named = loss_curve([curve([1.0, 0.5]), curve([0.8, 0.7])], labels=["a", "b"], title="both").pixels[0]
    assert not torch.equal(named, loss_curve([curve([1.0, 0.5]), curve([0.8, 0.7])]).pixels[0])


def test_a_legend_that_is_too_long_for_a_line_takes_several() -> None:
    """Each name is written in a place of its own."""
    from weft.nodes.images.charts import _legend
    from weft.nodes.images.lettering import line_height, text_width

    names = [f"rank {rank}, learning rate 1e-4" for rank in (4, 8, 16, 32)]
    places = _legend(names, 12, 400.0)
    assert [row for row, _ in places] == sorted(row for row, _ in places)
    for row in {row for row, _ in places}:
        spans = [(at, at + text_width(n, 12)) for n, (own, at) in zip(names, places, strict=True) if own == row]
        assert all(end < start for (_, end), (start, _) in itertools.pairwise(spans))
        assert spans[-1][1] <= 400
    curves = [curve([1.0 / rank, 0.5 / rank]) for rank in (1, 2, 3, 4)]
    pixels = loss_curve(curves, labels=names, width=400, height=300).pixels[0]
    lines = {}
    for number in range(4):
        there = ((pixels - torch.tensor(COLOURS[number]) / 255).abs().amax(dim=-1) < 0.2).any(dim=1)
        lines[number] = int(there.nonzero()[0])
    assert lines[3] - lines[0] >= line_height(10)  # the last name is written below the first


def test_smoothing_is_an_average_without_a_beginning() -> None:
    assert smoothed([2.0, 2.0, 2.0], 0.9) == pytest.approx([2.0, 2.0, 2.0])
    assert smoothed([1.0, 3.0], 0.5) == pytest.approx([1.0, (0.25 * 1 + 0.5 * 3) / 0.75])
    assert smoothed([1.0, 5.0], 0.0) == [1.0, 5.0]


def test_ticks_are_round() -> None:
    assert ticks(0.0, 1.0) == pytest.approx([0, 0.2, 0.4, 0.6, 0.8, 1.0])
    assert ticks(3.0, 3.0) == [3.0]
    assert powers(0.009, 110) == pytest.approx([0.01, 0.1, 1, 10, 100])


def test_refusals() -> None:
    with pytest.raises(ValueError, match="no curve has reward; they have loss"):
        loss_curve([curve([1.0])], columns=["reward"])
    with pytest.raises(ValueError, match="no value is above 0"):
        loss_curve([curve([0.0, -1.0])], log=True)
    with pytest.raises(ValueError, match="1 labels for 2 curves"):
        loss_curve([curve([1.0]), curve([1.0])], labels=["a"])
