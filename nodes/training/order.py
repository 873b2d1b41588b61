"""Which items a step takes: each once an epoch, in an order of its own, and a batch holds one size only."""

from __future__ import annotations

from collections.abc import Hashable, Sequence

from weft.nodes.training.draws import Draws


class Order:
    """The items of each batch, by the batch's number: nothing is remembered from one batch to the next.

    Where all items are of one size, batches run on from one epoch into the next, so that none is smaller. Of several
    sizes each fills whole batches, and what it lacks for its last batch of an epoch it takes from its beginning.

    sizes: of each item. batch: items in a batch.
    """

    def __init__(self, draws: Draws, sizes: Sequence[Hashable], batch: int, purpose: str = "order") -> None:
        self._draws, self._batch, self._purpose = draws, batch, purpose
        self._groups: dict[Hashable, list[int]] = {}
        for number, size in enumerate(sizes):
            self._groups.setdefault(size, []).append(number)
        self._length = len(sizes)
        self._known: tuple[int, list[list[int]]] = (-1, [])

    @property
    def batches(self) -> float:
        """How many batches an epoch has."""
        if len(self._groups) == 1:
            return self._length / self._batch
        return sum(-(-len(group) // self._batch) for group in self._groups.values())

    def items(self, batch: int) -> list[int]:
        """The items of a batch, by its number from 0."""
        if len(self._groups) == 1:
            return [self._at(number) for number in range(batch * self._batch, (batch + 1) * self._batch)]
        epoch, place = divmod(batch, int(self.batches))
        return self._epoch(epoch)[place]

    def _at(self, sample: int) -> int:
        epoch, place = divmod(sample, self._length)
        if self._known[0] != epoch:
            self._known = epoch, [self._draws.order(self._purpose, epoch, self._length).tolist()]
        return self._known[1][0][place]

    def _epoch(self, epoch: int) -> list[list[int]]:
        if self._known[0] == epoch:
            return self._known[1]
        batches: list[list[int]] = []
        for number, group in enumerate(self._groups.values()):
            places = self._draws.generator(self._purpose, epoch, number).permutation(len(group)).tolist()
            items = [group[place] for place in places]
            while len(items) % self._batch:
                items.extend(items[: self._batch - len(items) % self._batch])
            batches.extend(items[k : k + self._batch] for k in range(0, len(items), self._batch))
        shuffled = self._draws.order(f"{self._purpose} of batches", epoch, len(batches))
        self._known = epoch, [batches[place] for place in shuffled]
        return self._known[1]
