"""Headers: what a request's must look like, and what every answer has."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

MAX_COUNT = 100
MAX_BYTES = 32 * 1024
MAX_ONE = 8 * 1024

_ONCE = frozenset(
    {
        b"host", b"origin", b"sec-fetch-site", b"authorization", b"content-type", b"content-length",
        b"content-encoding", b"transfer-encoding", b"idempotency-key", b"if-match",
    }
)  # fmt: skip
"""Two of one of these would let two readers of the request see different things."""

Headers = Sequence[tuple[bytes, bytes]]

CSP = b"default-src 'self'; object-src 'none'; base-uri 'none'; frame-ancestors 'none'"
PAGE_CSP = CSP + b"; img-src 'self' blob:"
"""Of the editor's page: pictures that come as bytes (previews of a run, files before they are uploaded) are shown."""
SECURITY: Headers = (
    (b"content-security-policy", CSP),
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    # Pages of ours still say where they come from to ourselves, so that Origin is not null for us.
    (b"referrer-policy", b"same-origin"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
)
_OURS = frozenset(name for name, _ in SECURITY) - {b"content-security-policy"}


def headers_fault(headers: Headers) -> tuple[str, str]:
    """A problem's code and words about a request's headers; two empty texts when nothing is wrong."""
    if len(headers) > MAX_COUNT:
        return "large_headers", f"The request has {len(headers)} headers; at most {MAX_COUNT} are read."
    total = 0
    seen: set[bytes] = set()
    for name, value in headers:
        size = len(name) + len(value)
        total += size
        if size > MAX_ONE or total > MAX_BYTES:
            return "large_headers", f"Headers have at most {MAX_ONE} bytes each and {MAX_BYTES} bytes together."
        if re.search(rb"[\x00-\x08\x0a-\x1f\x7f]", value):
            return "bad_request", "A header has control characters."
        if name in _ONCE:
            if name in seen:
                return "bad_request", f"The header {name.decode()} is there twice."
            seen.add(name)
    if {b"content-length", b"transfer-encoding"} <= seen:
        return "bad_request", "The request has both Content-Length and Transfer-Encoding."
    return "", ""


def first(headers: Headers, name: bytes) -> str | None:
    """The first header of a name, in small letters; None when there is none."""
    return next((value.decode("latin-1").strip() for key, value in headers if key == name), None)


def secured(headers: Iterable[tuple[bytes, bytes]], *, store: bool) -> list[tuple[bytes, bytes]]:
    """An answer's headers with ours.

    A policy of its own (`sandbox` for files of users) stands beside ours, and browsers keep to both; that of the
    editor's page stands in place of it. Grants to other origins are dropped, whoever made them.

    Args:
        store: whether others may keep the answer when it does not say itself.
    """
    kept = [
        (name, value)
        for name, value in ((name.lower(), value) for name, value in headers)
        if name not in _OURS and not name.startswith(b"access-control-") and (name, value) != SECURITY[0]
    ]
    # The editor's page may show pictures of its own; no other policy takes the place of ours.
    page = (SECURITY[0][0], PAGE_CSP) in kept
    kept += SECURITY[1:] if page else SECURITY
    if not store and not any(name == b"cache-control" for name, _ in kept):
        kept.append((b"cache-control", b"no-store"))
    return kept
