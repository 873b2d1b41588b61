"""What results are, apart from how they were made: for nodes whose users need not run again where that is the same."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from weft.engine.cache import Cache, codec
from weft.engine.values import Outputs

SIZE = 20


def contents_of(outputs: Outputs) -> tuple[bytes, ...] | None:
    """A hash of each output by its content; None where one is alive, such as a loaded model, and has no such thing."""
    found = []
    for item in outputs:
        try:
            encoded = codec.encode((item,))
            head = codec.pack_head([encoded.classes, encoded.structure])
        except (codec.NotStorable, ValueError, TypeError, OverflowError):
            return None
        content = hashlib.blake2b(len(head).to_bytes(8, "little") + head, digest_size=SIZE)
        for part in encoded.body:
            content.update(part)
        found.append(content.digest())
    return tuple(found)


def recall(cache: Cache, key: bytes) -> tuple[bytes, ...] | None:
    """What the outputs of a key were when they were computed last; None where that is not known."""
    found = cache.get(_record(key))
    if found is None or len(found) != 1 or not isinstance(found[0], list):
        return None
    return tuple(item for item in found[0] if isinstance(item, bytes) and len(item) == SIZE)


def remember(cache: Cache, key: bytes, contents: Sequence[bytes]) -> None:
    """Know from now on what the outputs of a key are."""
    cache.put(_record(key), (list(contents),), {"type": "content"})


def _record(key: bytes) -> bytes:
    return hashlib.blake2b(key, digest_size=SIZE, person=b"content").digest()
