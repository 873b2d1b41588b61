"""What nodes and definitions of a document may be called."""

from __future__ import annotations

import functools
import re

from weft.graphs.problems import shown

NODE_ID = re.compile(r"[A-Za-z_][A-Za-z0-9_-]{0,63}")
DEFINITION_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]{0,63}")


def node_id_fault(id: str) -> str | None:
    """Why `id` cannot be the id of a node, or None when it can."""
    if NODE_ID.fullmatch(id):
        return None
    if len(id) > 64:
        return f"The node id {shown(id)} has {len(id)} characters; at most 64 are allowed."
    return f"The node id {shown(id)} is not a letter or _ followed by letters, digits, _ or -."


@functools.lru_cache(maxsize=1024)
def id_stem(type: str) -> str:
    """What the ids of nodes of a type begin with, where nobody says another."""
    stem = re.sub(r"[^A-Za-z0-9_-]", "_", type)[:56] or "node"
    return stem if stem[0].isalpha() or stem[0] == "_" else f"_{stem}"
