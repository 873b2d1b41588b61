"""Several processes that train one thing together, each on its own device, as `accelerate launch` starts them.

Each makes the gradients of its share of every batch. Their sum is that of the whole batch, so that all make the same
step, and nothing depends on which process had which sample but the rounding of sums. With one process nothing here
does anything.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import timedelta
from typing import Any

import torch
from torch import Tensor

from weft.engine import Cancelled
from weft.nodes.lazy import IMPORTING
from weft.nodes.training.errors import TrainingError
from weft.nodes.training.recipe import Samples

PATIENCE = timedelta(hours=2)
"""How long one process waits for another, which may be loading, validating or writing a checkpoint."""
BUCKET = 1 << 24
"""Numbers that are summed over the processes in one go: what this takes is memory beside the gradients."""


class Processes:
    """The processes of one training. All must call the same methods in the same order.

    count: how many there are. rank: which of them this is; 0 is the main one, which alone writes and reports.
    """

    def __init__(self, count: int = 1, rank: int = 0) -> None:
        self.count, self.rank = count, rank

    @classmethod
    def launched(cls, device: torch.device) -> Processes:
        """Those that a launcher started with this one, for a training on a device: one, where it was none.

        Raises:
            TrainingError: they cannot reach one another.
        """
        if not os.environ.get("WORLD_SIZE", "1").isdecimal() or int(os.environ.get("WORLD_SIZE", "1")) < 2:
            return cls()
        with IMPORTING:
            from accelerate import PartialState
        try:
            if device.type == "cuda":
                # What is agreed on goes from CPU to CPU, so that no step waits for the device.
                state = PartialState(backend="cuda:nccl,cpu:gloo", timeout=PATIENCE)
            else:
                state = PartialState(cpu=True, timeout=PATIENCE)
        except (RuntimeError, ValueError) as error:
            raise TrainingError(f"the processes of this training cannot reach one another: {error}") from error
        return cls(state.num_processes, state.process_index)

    @property
    def main(self) -> bool:
        """Whether this process is the one that writes and reports."""
        return self.rank == 0

    def most(self, batch: int) -> int:
        """The most samples of a batch that one process has."""
        return -(-batch // self.count)

    def share(self, samples: Samples) -> Samples:
        """The samples of a batch that this process has: perhaps none, but for the main one."""
        if self.count == 1:
            return samples
        each, more = divmod(len(samples), self.count)
        first = self.rank * each + min(self.rank, more)
        return samples.part(first, first + each + (self.rank < more))

    @contextmanager
    def together(self) -> Iterator[None]:
        """A part of the training in which none waits for another; where one ends with an error, all do after it.

        Raises:
            Cancelled: another process was cancelled.
            TrainingError: it failed in another process.
        """
        if self.count == 1:
            yield
            return
        try:
            yield
        except (Exception, Cancelled) as error:
            stopped = isinstance(error, Cancelled)
            with suppress(TrainingError):
                self._counts([stopped, not stopped])
            raise
        cancels, failures = self._counts([False, False])
        if failures:
            raise TrainingError("the training failed in another of its processes, whose own message says why")
        if cancels:
            raise Cancelled("another process of the training was cancelled")

    def any(self, own: bool) -> bool:
        """Whether something is so in one of them."""
        return own if self.count == 1 else bool(self._counts([own])[0])

    def total(self, loss: Tensor, parameters: Sequence[torch.nn.Parameter]) -> Tensor:
        """Make the gradients of each process those of the whole batch; returns the sum of their losses."""
        if self.count == 1:
            return loss
        # A parameter that took part in no sample has no gradient, and no step is made of it.
        there = self._counts([parameter.grad is not None for parameter in parameters])
        tensors = [loss]
        for parameter, count in zip(parameters, there, strict=True):
            if count:
                if parameter.grad is None:
                    parameter.grad = torch.zeros_like(parameter)
                tensors.append(parameter.grad)
        for bucket in _buckets(tensors):
            whole = self._sum(torch.cat([tensor.reshape(-1) for tensor in bucket]))
            for tensor, part in zip(bucket, whole.split([tensor.numel() for tensor in bucket]), strict=True):
                tensor.copy_(part.view_as(tensor))
        return loss

    def mean(self, numbers: Mapping[str, float], samples: int) -> dict[str, float]:
        """The mean of each number over the processes, weighted by how many samples each had."""
        if self.count == 1 or not self.any(bool(numbers)):
            return dict(numbers)
        names = self.from_main({}, list(numbers))[1]
        own = torch.tensor([*(numbers.get(name, 0.0) for name in names), 1.0], dtype=torch.float64)
        *sums, weight = self._sum(own * samples).tolist()
        return {name: number / weight for name, number in zip(names, sums, strict=True)}

    def from_main(self, tensors: Mapping[str, Tensor], data: Any) -> tuple[dict[str, Tensor], Any]:
        """Tensors by name, which come to the CPU, and JSON data, as the main process gave them."""
        if self.count == 1:
            return dict(tensors), data
        kinds = [[name, list(t.shape), str(t.dtype).removeprefix("torch.")] for name, t in tensors.items()]
        text = json.dumps([data, kinds]).encode() if self.main else b""
        length = int(self._sent(torch.tensor([len(text)])))
        raw = torch.frombuffer(bytearray(text or length), dtype=torch.uint8)
        data, kinds = json.loads(self._sent(raw).numpy().tobytes())
        found = {}
        for name, shape, dtype in kinds:
            own = tensors[name].detach().cpu() if self.main else torch.empty(shape, dtype=getattr(torch, dtype))
            # As bytes: not every format of numbers can be sent.
            found[name] = own.contiguous()
            if own.numel():
                self._sent(found[name].reshape(-1).view(torch.uint8))
        return found, data

    def same_start(self, key: str, parameters: Sequence[torch.nn.Parameter]) -> None:
        """Begin with the main process's parameters.

        Raises:
            TrainingError: the processes would train different things.
        """
        if self.count == 1:
            return
        if self.any(self.from_main({}, key)[1] != key):
            raise TrainingError(
                "the processes of this launch train different things: give all the same workflow, the same code and "
                "devices of one kind, and let each training of it depend on the one before, so that all have one order"
            )
        found, _ = self.from_main({str(place): p for place, p in enumerate(parameters)}, None)
        with torch.no_grad():
            for parameter, own in zip(parameters, found.values(), strict=True):
                parameter.copy_(own)

    def _counts(self, flags: Sequence[bool]) -> list[int]:
        """In how many processes each is so."""
        return self._sum(torch.tensor(flags, dtype=torch.int32)).tolist()

    def _sum(self, tensor: Tensor) -> Tensor:
        from accelerate.utils import reduce

        with _reaching():
            found: Tensor = reduce(tensor, reduction="sum")
        return found

    def _sent(self, tensor: Tensor) -> Tensor:
        """In place, as the main process has it."""
        from accelerate.utils import broadcast

        with _reaching():
            broadcast(tensor)
        return tensor


@contextmanager
def _reaching() -> Iterator[None]:
    try:
        yield
    except RuntimeError as error:
        raise TrainingError(f"another process of this training is gone or cannot be reached: {error}") from error


def _buckets(tensors: Sequence[Tensor]) -> Iterator[list[Tensor]]:
    """In their order, some at a time, those of one bucket of one format."""
    bucket: list[Tensor] = []
    for tensor in tensors:
        if bucket and (bucket[0].dtype != tensor.dtype or sum(map(Tensor.numel, bucket)) + tensor.numel() > BUCKET):
            yield bucket
            bucket = []
        bucket.append(tensor)
    yield bucket
