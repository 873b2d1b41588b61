"""What saved workflows may be called."""

from __future__ import annotations

import re
import unicodedata

from weft.graphs.problems import shown
from weft.server.documents.errors import BadName

MAX_BYTES = 100
SUFFIX = ".json"
_RESERVED = re.compile(r"(?:con|prn|aux|nul|com\d|lpt\d)(?:\..*)?", re.IGNORECASE)
"""Names of devices on Windows, where the files may be copied to."""


def checked(name: str) -> str:
    """The name as files have it: a letter with an accent is one character, however it was typed.

    Raises:
        BadName: it has other characters than letters, digits, space, `-`, `_` and `.`, begins with a dot, is empty or
            longer than 100 bytes, or is reserved.
    """
    rule = f"letters, digits, space, -, _ and ., no dot at the beginning, at most {MAX_BYTES} bytes"
    if not isinstance(name, str) or not 0 < len(name) <= MAX_BYTES or not name.isprintable():
        raise BadName(f"{shown(name)} is no name of a workflow, which has {rule}.")
    name = unicodedata.normalize("NFC", name)
    allowed = all(letter in " -_." or unicodedata.category(letter) in _ALLOWED for letter in name)
    if not allowed or name.startswith(".") or len(name.encode()) > MAX_BYTES:
        raise BadName(f"{shown(name)} is no name of a workflow, which has {rule}.")
    if _RESERVED.fullmatch(name):
        raise BadName(f"{shown(name)} is the name of a device on some systems: choose another.")
    return name


_ALLOWED = frozenset({"Lu", "Ll", "Lt", "Lm", "Lo", "Nd"})
"""Letters and digits of every script."""
