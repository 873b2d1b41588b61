"""The bytes of one entry on disk, the same in a file of its own and in the pack of small ones.

    magic 8 | head length 4 | body length 8 | blake2b of the head 16 | checksum of the body 16 | head | body

The head (msgpack) holds the key, what the result is made of, and which files it stands for. The body (safetensors)
holds its tensors.
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from weft.engine.cache import codec
from weft.engine.cache.checksum import SIZE, Checksum, checksum
from weft.engine.filehash import content_hash
from weft.engine.values import Files, Outputs

MAGIC, _OLDER = b"WEFTc03\n", frozenset({b"WEFTc01\n", b"WEFTc02\n"})
_PREAMBLE = struct.Struct(f"<8sIQ16s{SIZE}s")
PREAMBLE_BYTES = _PREAMBLE.size
COPIED_BYTES = 1 << 20
"""Bodies up to this are copied when they are to be written later."""


class Damaged(Exception):  # noqa: N818
    """An entry that is not what was written."""


class Outdated(Damaged):
    """An entry of an older format: a miss and no fault."""


@dataclass(slots=True)
class Entry:
    """A result ready to be written.

    Attributes:
        start: everything before the body. body: its parts, which may be the memory of the result's own tensors.
        files: (path, digest) of what the result stands for.
        digest: the checksum of the body.
        owned: nobody else can change the memory of the body.
    """

    key: bytes
    start: bytes
    body: list[codec.Buffer]
    files: list[list[str]]
    classes: list[tuple[str, int, tuple[str, ...]]]
    digest: bytes
    size: int
    owned: bool

    def head(self) -> dict[str, Any]:
        """The head, as a reader gets it."""
        head: dict[str, Any] = codec.unpack_head(self.start[PREAMBLE_BYTES:])
        return head

    def own(self) -> None:
        """Copy a body that is not large, so that it stays what it is whoever changes the result."""
        if not self.owned and self.size <= COPIED_BYTES:
            self.body = [b"".join(self.body)]
            self.owned = True

    def joined(self) -> bytes:
        """All of it in one piece."""
        return b"".join((self.start, *self.body)) if self.body else self.start

    def sound(self) -> bool:
        """Whether the body still is what it was when this entry was made."""
        return self.owned or _digest_of(self.body) == self.digest


def serialize(key: bytes, outputs: Outputs, note: dict[str, Any]) -> Entry:
    """The entry of a result.

    Raises:
        NotStorable: it cannot be written (a live model).
    """
    encoded = codec.encode(outputs)
    files = [list(pair) for pair in files_in(outputs)]
    try:
        parts = {"key": key, "classes": encoded.classes, "files": files, "outputs": encoded.structure}
        head = codec.pack_head({**note, **parts})
    except (ValueError, TypeError, OverflowError, UnicodeEncodeError) as error:
        raise codec.NotStorable(str(error)) from error
    body, body_bytes = encoded.body, encoded.body_bytes if encoded.body else 0
    digest = _digest_of(body) if body else _NO_BODY
    start = _PREAMBLE.pack(MAGIC, len(head), body_bytes, _blake(head), digest) + head
    return Entry(key, start, body, files, encoded.classes, digest, len(start) + body_bytes, not body)


def read_preamble(start: bytes) -> tuple[int, int, bytes, bytes]:
    """(size of the head, size of the body, digest of the head, checksum of the body). Raises Damaged, Outdated."""
    if len(start) < _PREAMBLE.size:
        raise Damaged("it is cut off")
    magic, head_size, body_size, digest, expected = _PREAMBLE.unpack_from(start)
    if magic in _OLDER:
        raise Outdated("it is of an older format")
    if magic != MAGIC:
        raise Damaged("it is no entry of this format")
    return head_size, body_size, digest, expected


def read_head(data: bytes, digest: bytes, key: bytes) -> dict[str, Any]:
    """The head of the entry that should be of this key. Raises Damaged."""
    if _blake(data) != digest:
        raise Damaged("the head's checksum does not match")
    try:
        head = codec.unpack_head(data)
    except codec.Undecodable as error:
        raise Damaged(str(error)) from error
    if not isinstance(head, dict) or head.get("key") != key:
        raise Damaged("it is the entry of another key")
    return head


def read_entry(data: bytes, key: bytes) -> tuple[dict[str, Any], bytearray]:
    """(head, body) of an entry in one piece, both checked. Raises Damaged, Outdated."""
    head_size, body_size, digest, expected = read_preamble(data)
    if len(data) != _PREAMBLE.size + head_size + body_size:
        raise Damaged("its size is not what it says")
    end = _PREAMBLE.size + head_size
    head = read_head(data[_PREAMBLE.size : end], digest, key)
    body = bytearray(data[end:]) if body_size else bytearray()
    if (checksum(body) if body else _NO_BODY) != expected:
        raise Damaged("the body's checksum does not match")
    return head, body


def outputs_of(head: dict[str, Any], body: codec.Body) -> Outputs | None:
    """The result, or None when a value class of it is not known here. Raises Undecodable."""
    if not codec.known(head["classes"]):
        return None
    outputs = codec.decode(head["outputs"], body)
    return outputs if isinstance(outputs, tuple) else None


def files_in(outputs: Outputs) -> Iterator[tuple[str, str]]:
    """(path, digest) of every file that a result stands for, alone or in a list."""
    for item in outputs:
        for part in item if type(item) in (list, tuple) else (item,):
            if type(part) is Files:
                yield from zip(part.paths, part.digests, strict=True)


def files_in_place(files: Any) -> bool:
    """Whether every (path, digest) is a file with that content."""
    try:
        return all(content_hash(path) == digest for path, digest in files)
    except OSError:
        return False


def _blake(data: bytes) -> bytes:
    return hashlib.blake2b(data, digest_size=16).digest()


def _digest_of(body: list[codec.Buffer]) -> bytes:
    total = Checksum()
    for part in body:
        total.update(part)
    return total.digest()


_NO_BODY = _digest_of([])
