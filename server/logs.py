"""Structured logs on the standard library: one JSON line an event, or lines for people where stderr is a terminal.

Which job, node and request a line is about comes from the context that it is written in. Secrets never show, and texts
that may be somebody's own, such as prompts, show at the level DEBUG alone (`Private`).
"""

from __future__ import annotations

import contextlib
import contextvars
import json
import logging
import os
import re
import sys
import traceback
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any, Literal, TextIO

from weft.server.scrub import Scrubber

Form = Literal["auto", "json", "text"]
Level = Literal["debug", "info", "warning", "error"]
Field = Literal["job", "node", "request"]
_FIELDS: tuple[Field, ...] = ("job", "node", "request")
_CONTEXT: dict[Field, contextvars.ContextVar[str | None]] = {
    name: contextvars.ContextVar(f"weft_{name}", default=None) for name in _FIELDS
}
_PLAIN = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "color_message", "taskName"}
"""What every record has, and what uvicorn adds for itself; the rest came as `extra`."""
_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
_MAX_MESSAGE = 20_000
_COLOURS = {"WARNING": "\x1b[33m", "ERROR": "\x1b[31m", "CRITICAL": "\x1b[31m"}


@contextlib.contextmanager
def log_context(*, job: str | None = None, node: str | None = None, request: str | None = None) -> Iterator[None]:
    """Lines that are written in the block, and in tasks that it starts, say what they are about."""
    values: dict[Field, str | None] = {"job": job, "node": node, "request": request}
    tokens = [(name, _CONTEXT[name].set(value)) for name, value in values.items() if value is not None]
    try:
        yield
    finally:
        for name, token in reversed(tokens):
            _CONTEXT[name].reset(token)


def current(name: Field) -> str | None:
    """What the lines of this context are about."""
    return _CONTEXT[name].get()


class Private:
    """A text that is somebody's own, such as a prompt. Lines at the level DEBUG show it, all others its length alone.

    Pass it as an argument or as `extra`: `log.info("the prompt is %s", Private(prompt))`.
    """

    __slots__ = ("text",)

    def __init__(self, text: str) -> None:
        self.text = text

    def __str__(self) -> str:
        return f"<{len(self.text)} characters>"

    __repr__ = __str__


def _shown(value: Any, level: int) -> Any:
    if isinstance(value, Private):
        return value.text if level <= logging.DEBUG else str(value)
    if isinstance(value, dict):
        return {str(key): _shown(item, level) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_shown(item, level) for item in value]
    return value


def _message(record: logging.LogRecord) -> str:
    arguments: Any = record.args
    if isinstance(arguments, dict):
        arguments = {key: _shown(item, record.levelno) for key, item in arguments.items()}
    elif arguments:
        arguments = tuple(_shown(item, record.levelno) for item in arguments)
    text = str(_shown(record.msg, record.levelno))
    try:
        text = text % arguments if arguments else text
    except (TypeError, ValueError, KeyError):  # a wrong format is the caller's fault and must not lose the line
        text = f"{text} {arguments!r}"
    return text if len(text) <= _MAX_MESSAGE else f"{text[:_MAX_MESSAGE]}... ({len(text):,} characters)"


def _fields(record: logging.LogRecord) -> dict[str, Any]:
    about: dict[str, Any] = {name: value for name in _FIELDS if (value := current(name)) is not None}
    extra = {name: _shown(item, record.levelno) for name, item in vars(record).items() if name not in _PLAIN}
    return about | extra


def _traceback(record: logging.LogRecord) -> str:
    if not record.exc_info or record.exc_info[1] is None:
        return ""
    return "".join(traceback.format_exception(record.exc_info[1])).rstrip()


class JsonLines(logging.Formatter):
    """One JSON object a line: `ts`, `level`, `logger`, `event`, what it is about, what came as extra, `exception`."""

    def __init__(self, scrub: Scrubber) -> None:
        super().__init__()
        self._scrub = scrub

    def format(self, record: logging.LogRecord) -> str:
        moment = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
        line = {
            "ts": moment.replace("+00:00", "Z"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "event": _message(record),
        }
        line |= {name: value for name, value in _fields(record).items() if name not in line}
        if text := _traceback(record):
            line["exception"] = text
        # Escaped to ASCII: nothing in a line can end it, or speak to a terminal that shows it.
        return json.dumps(self._scrub.secret_data(line), ensure_ascii=True, default=self._words)

    def _words(self, value: Any) -> str:
        return self._scrub.secrets(str(value))


class Lines(logging.Formatter):
    """A line for people: `12:30:59 WARNING weft.server.queue: the disk is nearly full  job=01J...`."""

    def __init__(self, scrub: Scrubber, *, colours: bool = False) -> None:
        super().__init__()
        self._scrub = scrub
        self._colours = colours

    def format(self, record: logging.LogRecord) -> str:
        moment = datetime.fromtimestamp(record.created).strftime("%H:%M:%S")
        about = "".join(f"  {name}={value}" for name, value in _fields(record).items())
        # On one line: a job's title must not look like a line of ours.
        said = _visible(self._scrub.secrets(f"{_message(record)}{about}"))
        colour = _COLOURS.get(record.levelname, "") if self._colours else ""
        line = f"{moment} {colour}{record.levelname:<7}{chr(27) + '[0m' if colour else ''} {record.name}: {said}"
        if text := _traceback(record):
            line += "".join(f"\n    {_visible(part)}" for part in self._scrub.secrets(text).splitlines())
        return line


def _visible(text: str) -> str:
    return _CONTROL.sub(lambda match: match[0].encode("unicode_escape", "surrogatepass").decode(), text)


class _Handler(logging.StreamHandler[TextIO]):
    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 (the library's name)
        """Whoever read the log has gone, or its disk is full. The server goes on without it."""


def start_logs(
    scrub: Scrubber, *, level: Level = "info", form: Form = "auto", stream: TextIO | None = None
) -> logging.Handler:
    """Send what this process logs to stderr, in place of what was there before. Call it again to change it.

    Args:
        scrub: whose secrets never show.
        level: the least that is written.
        form: "json" or "text"; "auto" writes text where `stream` is a terminal.
        stream: in place of stderr.
    """
    stream = stream if stream is not None else sys.stderr
    terminal = stream.isatty()
    people = form == "text" or (form == "auto" and terminal)
    handler = _Handler(stream)
    handler.setFormatter(
        Lines(scrub, colours=terminal and "NO_COLOR" not in os.environ) if people else JsonLines(scrub)
    )
    root = logging.getLogger()
    for other in [other for other in root.handlers if isinstance(other, _Handler)]:
        root.removeHandler(other)
    root.addHandler(handler)
    root.setLevel(level.upper())
    # Lines of every request of the client's and the server's libraries say nothing that ours do not.
    for name in ("uvicorn.access", "httpx", "httpcore", "websockets", "asyncio"):
        logging.getLogger(name).setLevel(max(logging.WARNING, root.level))
    return handler
