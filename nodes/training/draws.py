"""Random numbers that depend on nothing but a seed, what they are for, and which sample or step they belong to.

There is no state to save: a training that goes on at step k draws what it would have drawn.
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor


class Draws:
    """Random numbers of one training.

    seed: of the training. Equal seeds give equal numbers on every machine.
    """

    def __init__(self, seed: int) -> None:
        self.seed = seed

    def generator(self, purpose: str, *numbers: int) -> np.random.Generator:
        """The generator of one purpose and counter, such as ("noise", sample)."""
        data = struct.pack(f"<Q{len(numbers)}q", self.seed % 2**64, *numbers) + purpose.encode()
        key = int.from_bytes(hashlib.blake2b(data, digest_size=16).digest(), "little")
        return np.random.Generator(np.random.Philox(key=key))

    def normal(self, purpose: str, samples: Sequence[int], shape: Sequence[int]) -> Tensor:
        """Normal numbers (len(samples), *shape) float32, a generator for each sample."""
        drawn = [self.generator(purpose, n).standard_normal(tuple(shape), dtype=np.float32) for n in samples]
        return torch.from_numpy(np.stack(drawn))

    def uniform(self, purpose: str, samples: Sequence[int]) -> Tensor:
        """One number in [0, 1) for each sample: (len(samples),) float64."""
        return torch.tensor([self.generator(purpose, n).random() for n in samples], dtype=torch.float64)

    def integers(self, purpose: str, samples: Sequence[int], high: int, low: int = 0) -> Tensor:
        """One whole number in [low, high) for each sample: (len(samples),) int64."""
        return torch.tensor([int(self.generator(purpose, n).integers(low, high)) for n in samples])

    def order(self, purpose: str, epoch: int, length: int) -> NDArray[np.int64]:
        """The numbers 0 to length - 1 in the order of an epoch."""
        return self.generator(purpose, epoch).permutation(length)
