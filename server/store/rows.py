"""Rows of the database as records, and records as rows; the order of ids."""

from __future__ import annotations

import hashlib
import json
import re
import secrets
from collections.abc import Mapping
from typing import Any

from weft.server.store.records import Job, Output

Row = Mapping[str, Any]

# Three counts in place of one with (b.rank, b.place, b.seq) < (j.rank, j.place, j.seq), which takes twice as long.
_EARLIER = "(SELECT count(*) FROM jobs AS b WHERE b.state = 'queued' AND {})"
_BEFORE = ("b.rank < j.rank", "b.rank = j.rank AND b.place < j.place")
_TIED = "b.rank = j.rank AND b.place = j.place AND b.seq < j.seq"
_POSITION = " + ".join(_EARLIER.format(condition) for condition in (*_BEFORE, _TIED))
JOB = f"j.*, CASE WHEN j.state = 'queued' THEN {_POSITION} END AS position"
"""What `job_of` needs of a table `jobs AS j`."""
OUTPUT_COLUMNS = "job, number, node, kind, name, file, mime, bytes, width, height, value"

_DIGITS = "0123456789abcdefghjkmnpqrstvwxyz"
_TIME_DIGITS, _TAIL_DIGITS = 10, 8
_FILE = re.compile(r"sha256:[0-9a-f]{64}(?![0-9a-f])")
_ESCAPE = re.compile(r"\\u([0-9a-fA-F]{4})")


def next_id(now: float, last: str | None) -> str:
    """An id of 18 digits, after `last`: first the time in ms, then chance. Where the clock was set back, or the last
    one is of the same ms, it is the one after the last."""
    number = max(0, int(now * 1000)) << (5 * _TAIL_DIGITS) | secrets.randbits(5 * _TAIL_DIGITS)
    if last is not None:
        number = max(number, _number(last) + 1 + secrets.randbits(16))
    return "".join(_DIGITS[number >> 5 * place & 31] for place in reversed(range(_TIME_DIGITS + _TAIL_DIGITS)))


def _number(id: str) -> int:
    number = 0
    for digit in id:
        number = number << 5 | _DIGITS.index(digit)
    return number


def document_hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def files_named(document: str) -> set[str]:
    """Content ids in a document. Escaped letters count as letters: rather one too many than one that is deleted."""
    return set(_FILE.findall(_ESCAPE.sub(lambda match: chr(int(match[1], 16)), document)))


def job_of(row: Row, outputs: tuple[Output, ...] = ()) -> Job:
    """The job of a row of `JOB`."""
    return Job(
        id=row["id"],
        state=row["state"],
        created=row["created"],
        title=row["title"],
        tags=tuple(json.loads(row["tags"])),
        priority=-row["rank"],
        position=row["position"],
        slot=row["slot"],
        model=row["model"],
        targets=tuple(json.loads(row["targets"])),
        started=row["started"],
        finished=row["finished"],
        attempts=row["attempts"],
        done=row["done"],
        cached=row["cached"],
        of=row["total"],
        seconds=row["seconds"],
        ran=row["ran"],
        error=None if row["error"] is None else json.loads(row["error"]),
        cancelling=bool(row["cancelling"]),
        outputs=outputs,
    )


def output_of(row: Row) -> Output:
    return Output(
        node=row["node"],
        kind=row["kind"],
        name=row["name"],
        file=row["file"],
        mime=row["mime"],
        bytes=row["bytes"],
        width=row["width"],
        height=row["height"],
        value=None if row["value"] is None else json.loads(row["value"]),
    )


def output_values(job: int, number: int, output: Output) -> tuple[Any, ...]:
    """The values of `OUTPUT_COLUMNS`."""
    value = None if output.value is None else json.dumps(output.value)
    size = (output.bytes, output.width, output.height)
    return (job, number, output.node, output.kind, output.name, output.file, output.mime, *size, value)
