"""The checksum of an entry's body: xxh3 of 128 bits, which reads faster than memory gives.

Any damage changes it but for one case in 2^128, wherever it lies: two flipped bits in one page as well as pages that
change places. It is no protection against somebody who wants to fool it: who may write to the cache may write whole
entries.
"""

from __future__ import annotations

from typing import Any

import xxhash

CHUNK = 1 << 20
"""How much is read at once."""
SIZE = 16
"""Of a checksum, in bytes."""


class Checksum:
    """Takes a body in parts of any size."""

    def __init__(self) -> None:
        self._hash = xxhash.xxh3_128()

    def update(self, part: Any) -> None:
        """Take the next bytes, any buffer."""
        self._hash.update(memoryview(part).cast("B"))

    def digest(self) -> bytes:
        """The checksum of all that was taken."""
        return self._hash.digest()


def checksum(body: Any) -> bytes:
    """The checksum of a body in one piece."""
    return xxhash.xxh3_128_digest(memoryview(body).cast("B"))
