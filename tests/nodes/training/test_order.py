"""The order of items: each once an epoch, none dropped, and one size in each batch."""

from __future__ import annotations

from collections import Counter

import pytest

from weft.nodes.training.draws import Draws
from weft.nodes.training.order import Order


@pytest.mark.parametrize(("count", "batch"), [(7, 2), (5, 5), (3, 8), (1, 1), (6, 4)])
def test_of_one_size_each_item_comes_once_an_epoch(count: int, batch: int) -> None:
    order = Order(Draws(1), [(64, 64)] * count, batch)
    taken = [item for number in range(3 * count) for item in order.items(number)]
    epochs = [taken[k : k + count] for k in range(0, 3 * count * batch, count)]
    assert all(sorted(epoch) == list(range(count)) for epoch in epochs)
    assert count < 4 or len({tuple(epoch) for epoch in epochs}) > 1
    assert order.batches == count / batch


@pytest.mark.parametrize("batch", [1, 2, 3])
def test_of_several_sizes_each_batch_has_one_and_each_item_comes(batch: int) -> None:
    sizes = ["a"] * 5 + ["b"] * 2 + ["c"]
    order = Order(Draws(1), sizes, batch)
    length = int(order.batches)
    assert length == sum(-(-n // batch) for n in (5, 2, 1))
    for epoch in range(3):
        batches = [order.items(number) for number in range(epoch * length, (epoch + 1) * length)]
        assert all(len(items) == batch for items in batches)
        assert all(len({sizes[item] for item in items}) == 1 for items in batches)
        counts = Counter(item for items in batches for item in items)
        assert set(counts) == set(range(8))
        # What comes again fills up the last batch of its size, no more.
        assert sum(counts.values()) - 8 == sum(-n % batch for n in (5, 2, 1))


@pytest.mark.parametrize("sizes", [["a"] * 7, ["a"] * 5 + ["b"] * 4])
def test_a_batch_is_the_same_from_wherever_one_begins(sizes: list[str]) -> None:
    order = Order(Draws(4), sizes, 2)
    ahead = [order.items(number) for number in range(30)]
    assert [Order(Draws(4), sizes, 2).items(number) for number in (29, 3, 17, 0)] == [ahead[k] for k in (29, 3, 17, 0)]
    assert [Order(Draws(5), sizes, 2).items(number) for number in range(30)] != ahead
    assert [Order(Draws(4), sizes, 2, "other").items(number) for number in range(30)] != ahead
