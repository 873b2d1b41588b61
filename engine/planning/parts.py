"""What a key is made of, read back: to say in which parts two results differ."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import msgpack

from weft.engine.plain import pack
from weft.engine.planning.keys import LINK, LIST, LITERAL
from weft.engine.planning.steps import Step
from weft.graphs.document import Link

SHORTENED = 3
"""In place of a long literal or list: [name, SHORTENED, digest, how it begins]."""
PART_BYTES = 200
"""Longer literals are kept as a digest and the beginning of their text."""
LIST_BYTES = 1000
FINGERPRINT_BYTES = 500
WHOLE_BYTES = 2000
"""Parts that are longer altogether are kept shortened."""
TEXT = 60
CHANGES = 4
"""So many are told in an event."""

What = Literal["input", "upstream", "version", "code", "file", "folder", "fingerprint", "always"]


@dataclass(frozen=True, slots=True)
class Change:
    """One part of a key that is another than before.

    Attributes:
        what: "input": a literal, or what kind of thing is there. "upstream": the node that is linked there gives
            another result. "version", "code": of the node's own. "file": what is in a file that it reads. "folder":
            where it writes. "fingerprint": whatever the node's own fingerprint says. "always": it runs each time.
        input: name of the input; of a list with the item, as `items[2]`.
        source: the node that is linked there, where that is upstream.
        was, now: the two values, shortened; None where there is nothing to show.
    """

    what: What
    input: str | None = None
    source: str | None = None
    was: str | None = None
    now: str | None = None

    def to_dict(self) -> dict[str, str]:
        """As JSON data, without what does not apply."""
        return {
            name: item
            for name in ("what", "input", "source", "was", "now")
            if (item := getattr(self, name)) is not None
        }

    @classmethod
    def of(cls, data: Mapping[str, Any]) -> Change:
        """What `to_dict` gave, as events and stored ones have it."""
        return cls(data["what"], *(data.get(name) for name in ("input", "source", "was", "now")))

    def __str__(self) -> str:
        match self.what:
            case "input":
                return f"{self.input} was {self.was} and is {self.now}"
            case "upstream":
                return f"{self.input} comes from {self.source}, which gives another result"
            case "version":
                return f"the node's version was {self.was} and is {self.now}"
            case "code":
                return "the code of the pack that the node is from has changed"
            case "file":
                return f"the file {self.now} has changed" if self.now else "a file that it reads has changed"
            case "folder":
                return f"the output folder was {self.was} and is {self.now}"
            case "always":
                return "it runs each time, or what it reads is not known beforehand"
            case "fingerprint":
                return "what the node reads outside the workflow has changed"


@dataclass(frozen=True, slots=True)
class Parts:
    """What a key is made of.

    Attributes:
        version: of the node. code: fingerprint of its pack's, or None. out: the output folder of a node that writes.
        fingerprint: of the world outside, or None.
        inputs: per name [kind, ...] as the key has it, long literals shortened.
    """

    version: int
    code: str | None
    out: str | None
    fingerprint: str | None
    inputs: Mapping[str, list[Any]]


def bounded(parts: bytes) -> bytes:
    """Parts for keeping: those that are long have their long literals and lists shortened."""
    return parts if len(parts) <= WHOLE_BYTES else b"".join(_pieces(parts))


def read_parts(parts: bytes) -> Parts | None:
    """Parts as `planning.keys` or `bounded` made them; None for what is not of that form."""
    try:
        (_, version, code, out), fingerprint, *inputs = (
            msgpack.unpackb(piece, raw=False, strict_map_key=False) for piece in _pieces(parts)
        )
        return Parts(version, code, out, fingerprint, {item[0]: item[1:] for item in inputs})
    except (ValueError, TypeError, IndexError, msgpack.exceptions.UnpackException):
        return None


def without(parts: bytes, names: Iterable[str]) -> bytes:
    """A digest of parts but for some inputs: equal for nodes that differ in these alone."""
    left = frozenset(names)
    head, fingerprint, *inputs = _pieces(parts)
    rest = [piece for piece in inputs if msgpack.unpackb(piece, raw=False, strict_map_key=False)[0] not in left]
    return hashlib.blake2b(b"".join((head, fingerprint, *rest)), digest_size=20).digest()


def linked_key(parts: Parts, change: Change) -> bytes | None:
    """The key of what was linked where an upstream result has changed."""
    name, _, item = (change.input or "").partition("[")
    kind, *rest = parts.inputs.get(name, [None])
    if kind == LIST and item:
        entries = rest[0]
        place = int(item[:-1])
        return entries[place][1] if place < len(entries) and entries[place][0] == LINK else None
    return rest[0] if kind == LINK else None


def changes(before: Parts, after: Parts, step: Step) -> list[Change]:
    """In what two results of one node type differ.

    Args:
        step: the node that the parts `after` are of.
    """
    found: list[Change] = []
    if before.version != after.version:
        found.append(Change("version", was=str(before.version), now=str(after.version)))
    if before.code != after.code:
        found.append(Change("code"))
    if before.out != after.out:
        found.append(Change("folder", was=before.out, now=after.out))
    for name in {**after.inputs, **before.inputs}:
        old, new = before.inputs.get(name), after.inputs.get(name)
        if _differ(old, new):
            found += _input_changes(name, old, new, step.inputs.get(name))
    if before.fingerprint != after.fingerprint and not any(change.input in step.type.files for change in found):
        found += _outside(before.fingerprint, after.fingerprint, step)
    return found


def _input_changes(name: str, old: list[Any] | None, new: list[Any] | None, item: Any) -> list[Change]:
    if old is not None and new is not None and old[0] == new[0] == LINK and old[2] == new[2]:
        return [Change("upstream", name, source=str(item.node) if isinstance(item, Link) else None)]
    if old is not None and new is not None and old[0] == new[0] == LIST and len(old[1]) == len(new[1]):
        found = []
        for place, (one, other) in enumerate(zip(old[1], new[1], strict=True)):
            if _differ(one, other):
                part = item[place] if isinstance(item, list) and place < len(item) else None
                found += _input_changes(f"{name}[{place}]", one, other, part)
        return found
    return [Change("input", name, was=_text(old), now=_text(new, item))]


def _differ(one: Any, other: Any) -> bool:
    """Whether two parts of keys are other bytes: `1 == True` in Python."""
    return bool(one != other) or pack(one) != pack(other)


def _outside(old: str | None, new: str | None, step: Step) -> list[Change]:
    """What a fingerprint says: the files by name where it is the engine's own."""
    files = {name: step.inputs.get(name) for name in sorted(step.type.files)}
    if step.type.fingerprint is None:
        try:
            one, other = json.loads(old or "{}"), json.loads(new or "{}")
            files = {name: path for name, path in files.items() if one.get(name) != other.get(name)}
        except (ValueError, AttributeError):
            pass
    if files:
        return [Change("file", name, now=path if isinstance(path, str) else None) for name, path in files.items()]
    return [Change("fingerprint")]


def _text(part: list[Any] | None, item: Any = None) -> str:
    """A part of a key in a few words."""
    if part is None:
        return "absent"
    if part[0] == LITERAL:
        return _short(_json(part[1]))
    if part[0] == SHORTENED:
        return str(part[2])
    if part[0] == LIST:
        return f"a list of {len(part[1])}"
    return f"linked to {item}" if isinstance(item, Link) else f"a link to an output {part[2]}"


def _short(text: str) -> str:
    return text if len(text) <= TEXT else f"{text[:TEXT]}… ({len(text)} characters)"


def _json(item: Any) -> str:
    return json.dumps(item, ensure_ascii=False, default=repr)


def _pieces(parts: bytes) -> Iterator[bytes]:
    """The parts one by one, long ones shortened. Of a list of 10,000 links nothing is unpacked."""
    unpacker = _unpacker(parts)
    place, count = 0, 0
    while place < len(parts):
        unpacker.skip()
        end = unpacker.tell()
        piece = parts[place:end]
        if count == 1 and len(piece) > FINGERPRINT_BYTES:
            piece = pack(f"blake2b:{_digest(piece).hex()}")
        yield _shortened(piece) if count > 1 and len(piece) > PART_BYTES else piece
        place, count = end, count + 1


def _shortened(piece: bytes) -> bytes:
    unpacker = _unpacker(piece)
    unpacker.read_array_header()
    name, kind = unpacker.unpack(), unpacker.unpack()
    if kind == LITERAL:
        item = unpacker.unpack()
        text = _short(item if isinstance(item, str) else _json(item))
    elif kind == LIST and len(piece) > LIST_BYTES:
        text = f"a list of {unpacker.read_array_header()}"
    else:
        return piece
    return pack([name, SHORTENED, _digest(piece), text])


def _unpacker(data: bytes) -> Any:
    unpacker = msgpack.Unpacker(raw=False, strict_map_key=False, max_buffer_size=0)
    unpacker.feed(data)
    return unpacker


def _digest(data: bytes) -> bytes:
    return hashlib.blake2b(data, digest_size=16).digest()
