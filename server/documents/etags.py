"""Which of several contents somebody saw: strong entity tags, from the content itself.

So a file that was edited by hand has another one, and one that was put back has the old one again.
"""

from __future__ import annotations

import hashlib
import re

from weft.server.documents.errors import PreconditionRequired, Stale

_TAG = re.compile(r'\s*(W/)?"([\x21\x23-\x7e]*)"\s*(?:,|$)')


def etag_of(data: bytes) -> str:
    """The tag of a content, without quotes: 32 hex digits."""
    return hashlib.sha256(data).hexdigest()[:32]


def matches(header: str, etag: str | None) -> bool:
    """Whether an If-Match or If-None-Match names a tag: `*`, or one or more in quotes; weak ones never do.

    A header that is one bare tag, as clients write it that forget the quotes, is taken as that tag.

    Args:
        etag: of what is there; None when nothing is.
    """
    text = header.strip()
    if etag is None:
        return False
    if text == "*" or text == etag:
        return True
    at = 0
    while at < len(text) and (tag := _TAG.match(text, at)):
        if tag[2] == etag and not tag[1]:
            return True
        at = tag.end()
    return False


def check_replace(name: str, etag: str | None, if_match: str | None, if_none_match: str | None = None) -> None:
    """Whether what is there may be replaced by somebody who saw what they say.

    Args:
        etag: of what is there; None when nothing is.

    Raises:
        PreconditionRequired: something is there, and they say nothing.
        Stale: something else is there than they saw, or nothing.
    """
    if if_none_match is not None and matches(if_none_match, etag):
        raise Stale(f"There is a workflow {name!r} already.", etag)
    if if_match is not None and not matches(if_match, etag):
        what = "There is no workflow" if etag is None else "Somebody has changed the workflow"
        raise Stale(f"{what} {name!r}: read it again before you save.", etag)
    if if_match is None and etag is not None:
        raise PreconditionRequired(f"There is a workflow {name!r}: say in If-Match which one you have seen.")
