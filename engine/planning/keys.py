"""Keys of results: equal keys mean equal results.

key(node) = blake2b over the node's type, version, code fingerprint (nodes outside this package), output folder (nodes
that write files), own fingerprint, and per input in the order of names either the literal, type-tagged by msgpack so
that `1`, `1.0`, `true`, `[]` and `{}` differ, or key and output of the node linked to. Inputs that are absent count as
their default. Ids (but for nodes that read theirs), `ui` and the order in the file do not enter.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any

import msgpack

from weft.engine.catalogue.code import reads_id
from weft.engine.declaring.node_type import NodeType
from weft.engine.declaring.ports import MISSING, Port, normal
from weft.engine.plain import canonical, pack, pack_array_header
from weft.graphs.document import Link

LITERAL, LINK, LIST = 0, 1, 2
"""How an input stands among the parts of a key."""

Linked = Callable[[Link], tuple[bytes, str]]
"""What a link leads to: the key of its node and the name of the output."""


@dataclass(frozen=True, slots=True)
class TypeSignature:
    """What all nodes of one type share, packed once a plan.

    Attributes:
        head: type, version, code and output folder.
        ports: per input in the order of names: its name, its name packed, and the part that its default makes.
        converts: inputs whose literals change their form on the way to the node.
        asks: whether the world outside the document enters its keys (`planning.fingerprint`).
    """

    head: bytes
    ports: tuple[tuple[str, bytes, bytes | None], ...]
    converts: frozenset[str]
    asks: bool
    reads_id: bool
    """Whether the node's id enters its key, since the node reads it."""

    @classmethod
    def of(cls, node_type: NodeType, code: str | None, out: str | None) -> TypeSignature:
        """`code` for nodes outside this package, `out` for nodes that write files; else None."""
        ports = []
        for name, port in sorted(node_type.inputs.items()):
            missing = port.default is MISSING
            default = None if missing else pack([name, LITERAL, _default(normal(port, port.default))])
            ports.append((name, pack(name), default))
        asks = node_type.cache == "never" or node_type.fingerprint is not None or bool(node_type.files)
        head = pack([node_type.name, node_type.version, code, out])
        return cls(head, tuple(ports), converting(node_type.inputs), asks, reads_id(node_type))


def _default(item: Any) -> Any:
    """A default as a literal that says the same; one that no document can say, such as a tuple or an enum, as itself.

    The node gets the tuple, and a list from whoever writes it down.
    """
    if isinstance(item, tuple):
        return msgpack.ExtType(3, pack([_default(part) for part in item]))
    if isinstance(item, Enum):
        return msgpack.ExtType(4, pack([type(item).__qualname__, item.name]))
    if isinstance(item, list):
        return [_default(part) for part in item]
    return canonical(item)


def key_parts(signature: TypeSignature, inputs: Mapping[str, Any], fingerprint: str | None, linked: Linked) -> bytes:
    """What the key of one node, its blake2b of 20 bytes, is made of: parts in msgpack, as `planning.parts` reads them.

    Args:
        inputs: as the document has them, literals normalised to their ports (`normal_inputs`).
        fingerprint: what the node's own fingerprint function gave, or None.
    """
    parts = [signature.head, _NIL if fingerprint is None else pack(fingerprint)]
    # Put together from packed pieces; the bytes are those of `pack` of the list that each comment names.
    for name, packed, default in signature.ports:
        if name not in inputs:
            if default is None:
                raise KeyError(name)
            parts.append(default)
            continue
        item = inputs[name]
        kind = type(item)
        if kind is Link:  # [name, LINK, key, output]
            key, output = linked(item)
            parts.append(b"\x94" + packed + b"\x01" + _key(key) + pack(output))
        elif kind is not list:  # [name, LITERAL, item]
            parts.append(b"\x93" + packed + b"\x00" + pack(canonical(item)))
        elif any(type(part) is Link for part in item):  # [name, LIST, [[LINK, key, output] or [LITERAL, item], ...]]
            parts.append(b"\x93" + packed + b"\x02" + pack_array_header(len(item)))
            for part in item:
                if type(part) is Link:
                    key, output = linked(part)
                    parts.append(b"\x93\x01" + _key(key) + pack(output))
                else:
                    parts.append(b"\x92\x00" + pack(canonical(part)))
        else:
            parts.append(b"\x93" + packed + b"\x00" + pack(canonical(item)))
    return b"".join(parts)


_NIL = pack(None)


def _key(key: bytes) -> bytes:
    return b"\xc4\x14" + key if len(key) == 20 else pack(key)


def converting(ports: Mapping[str, Port]) -> frozenset[str]:
    """The inputs that `normal_inputs` may change."""
    return frozenset(name for name, port in ports.items() if port.converts)


def normal_inputs(inputs: Mapping[str, Any], ports: Mapping[str, Port]) -> Mapping[str, Any]:
    """The inputs as the node will get them: `7` at a float port is `7.0`, so both have one key."""
    changed = {
        name: normal(ports[name], item)
        for name, item in inputs.items()
        if type(item) is not Link and ports[name].converts and item is not None
    }
    return {**inputs, **changed} if changed else inputs
