"""Bodies: which media types a route takes and how many bytes, known before the first of them is read."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

MIB = 1024 * 1024
DOCUMENT_BYTES = 8 * MIB
UPLOAD_BYTES = 32 * MIB
JSON = "application/json"

_SIMPLE = frozenset({"text/plain", "multipart/form-data", "application/x-www-form-urlencoded"})
"""What a foreign page may send without asking first."""
_TYPE = re.compile(r"([a-z0-9!#$&^_.+-]{1,64}/[a-z0-9!#$&^_.+-]{1,64})(?:\s*;\s*([a-z0-9-]+)=\"?([a-z0-9._-]+)\"?)*\s*")


@dataclass(frozen=True)
class BodyRule:
    """What the bodies of some requests may be.

    Args:
        method: such as "POST".
        path: a regular expression for the whole path.
        types: media types; `image/*` is any image.
        most: bytes.

    Raises:
        ValueError: a type that a foreign page may send without asking first would be accepted.
    """

    method: str
    path: str
    types: tuple[str, ...] = (JSON,)
    most: int = DOCUMENT_BYTES

    def __post_init__(self) -> None:
        for kind in self.types:
            if kind in _SIMPLE or kind.split("/")[0] in ("*", "text", "multipart"):
                raise ValueError(f"{kind} could be sent by a foreign page without a preflight")

    def fits(self, method: str, path: str) -> bool:
        """Whether a request falls under it."""
        return method == self.method and re.fullmatch(self.path, path) is not None

    def takes(self, content_type: str) -> bool:
        """Whether it accepts what a `Content-Type` header says."""
        kind = media_type(content_type)
        return bool(kind) and any(
            kind == one or (one.endswith("/*") and kind.startswith(one[:-1])) for one in self.types
        )


DEFAULT = BodyRule("*", "")
"""For what no rule is about."""
UPLOADS: tuple[BodyRule, ...] = (
    BodyRule("POST", "/api/v1/files", ("image/*", "application/octet-stream"), UPLOAD_BYTES),
    BodyRule("POST", "/api/v1/import", (JSON, "image/*", "application/octet-stream"), UPLOAD_BYTES),
)
"""The routes of the server that take other bodies than JSON."""


def rule_for(rules: Sequence[BodyRule], method: str, path: str) -> BodyRule:
    """The first rule that a request falls under."""
    return next((rule for rule in rules if rule.fits(method, path)), DEFAULT)


def media_type(content_type: str) -> str:
    """The media type of a `Content-Type` header; "" for what is none, or for text in another encoding than UTF-8."""
    text = content_type.strip().lower()
    match = _TYPE.fullmatch(text)
    if match is None:
        return ""
    charset = re.search(r';\s*charset="?([^";\s]*)', text)
    return "" if charset and charset[1] not in ("utf-8", "utf8", "us-ascii") else match[1]


def has_body(length: str | None, transfer: str | None) -> bool:
    """Whether a request announces a body, by its `Content-Length` or `Transfer-Encoding`."""
    return transfer is not None or (length is not None and length.strip() != "0")
