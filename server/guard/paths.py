"""Paths that no honest client sends: ways up, ends of strings, separators of other systems, and the same encoded."""

from __future__ import annotations

import re
from urllib.parse import unquote_to_bytes

MAX_PATH = 2048
MAX_QUERY = 8192
MAX_SEGMENT = 255
"""Bytes of one name, as file systems have it."""

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")
_ENCODED = re.compile(r"%[0-9A-Fa-f]{2}")
_BROKEN = re.compile(rb"%(?![0-9A-Fa-f]{2})")


def path_fault(raw: bytes) -> str:
    """What is wrong with a path as it stood in the request, in words; "" when nothing is."""
    raw = raw.partition(b"?")[0]
    if not raw.startswith(b"/"):
        return "The path must begin with a slash."
    if _BROKEN.search(raw):
        return "The path has a percent sign that is not followed by two hexadecimal digits."
    try:
        text = unquote_to_bytes(raw).decode("utf-8")
    except UnicodeDecodeError:
        return "The path is not UTF-8."
    if re.search(rb"%2[fF]", raw):
        return "The path has an encoded slash."
    if _CONTROL.search(text):
        return "The path has control characters."
    if "\\" in text:
        return "The path has a backslash."
    if _ENCODED.search(text):
        return "The path is encoded twice."
    segments = text[1:].split("/")
    if any(segment in (".", "..") for segment in segments):
        return "The path has a segment . or .. in it."
    if "" in segments[:-1]:
        return "The path has an empty segment."
    if any(len(segment.encode()) > MAX_SEGMENT for segment in segments):
        return f"A segment of the path has more than {MAX_SEGMENT} bytes."
    return ""


def query_fault(query: bytes) -> str:
    """What is wrong with the part after the question mark, in words; "" when nothing is."""
    if re.search(rb"%(?:00|0[aAdD])", query) or re.search(rb"[\x00-\x20\x7f]", query):
        return "The query has control characters."
    return ""
