"""The checksum of an entry's body: as fast as memory, since a hit should take about as long as reading its bytes.

The body is cut into pages of 4 KiB. The sums of their 64-bit words, modulo 2^64, go through blake2b in order, and what
is left of the last page goes through it as it is. A change of any one word changes the result for certain, as do pages
that change places, and other damage but for one case in 2^64, unless it only moves words about within a page, which no
disk does. crc32 takes four times as long as reading. It is no protection against somebody who wants to fool it: who
may write to the cache may write whole entries.
"""

from __future__ import annotations

import hashlib
from typing import Any

CHUNK, PAGE = 1 << 20, 4096
SIZE = 16
"""Of a checksum, in bytes."""


class Checksum:
    """Takes a body in parts of any size."""

    def __init__(self) -> None:
        self._hash = hashlib.blake2b(digest_size=SIZE)
        self._rest = bytearray()

    def update(self, part: Any) -> None:
        """Take the next bytes, any buffer."""
        view = memoryview(part).cast("B")
        if self._rest:
            wanted = CHUNK - len(self._rest)
            self._rest += view[:wanted]
            view = view[wanted:]
            if len(self._rest) < CHUNK:
                return
            self._pages(memoryview(self._rest))
            self._rest = bytearray()
        whole = len(view) // CHUNK * CHUNK
        for at in range(0, whole, CHUNK):
            self._pages(view[at : at + CHUNK])
        self._rest += view[whole:]

    def digest(self) -> bytes:
        """The checksum; nothing more is to be taken."""
        rest = memoryview(self._rest)
        whole = len(rest) // PAGE * PAGE
        if whole:
            self._pages(rest[:whole])
        self._hash.update(rest[whole:])
        return self._hash.digest()

    def _pages(self, view: memoryview) -> None:
        import numpy

        words = numpy.frombuffer(view, "<u8").reshape(-1, PAGE // 8)
        self._hash.update(words.sum(axis=1, dtype="<u8").tobytes())


def checksum(body: Any) -> bytes:
    """The checksum of a body in one piece."""
    found = Checksum()
    found.update(body)
    return found.digest()
