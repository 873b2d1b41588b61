"""Which files a document names: what collections spare, and what has to be reserved before a document is accepted."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from weft.engine.declaring.file_store import CONTENT_ID

_IN_BYTES = re.compile(CONTENT_ID.pattern.encode())
_ESCAPED = re.compile(rb"\\u00([0-7][0-9a-fA-F])")


def named_in(data: Any) -> set[str]:
    """The content ids in JSON data: in each text of it, keys too, also where they are a part of the text."""
    ids: set[str] = set()
    pending = [data]
    while pending:
        item = pending.pop()
        if isinstance(item, str):
            ids.update(CONTENT_ID.findall(item))
        elif isinstance(item, Mapping):
            pending.extend(item.keys())
            pending.extend(item.values())
        elif isinstance(item, (list, tuple)):
            pending.extend(item)
    return ids


def named_in_text(text: bytes) -> set[str]:
    """The content ids in a document's text, be it JSON or not any more; one that JSON's escapes hide as well."""
    ids = {found.decode() for found in _IN_BYTES.findall(text)}
    if b"\\" in text:
        plain = _ESCAPED.sub(lambda match: bytes([int(match[1], 16)]), text)
        ids |= {found.decode() for found in _IN_BYTES.findall(plain)}
    return ids
