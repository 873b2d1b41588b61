"""What a worker says while its nodes run: reports, questions about the device, log lines."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

from weft.engine.cache.codec import Buffer
from weft.engine.errors import Cancelled
from weft.engine.isolation.wire import Body


class Line(Protocol):
    """One end of the way between a run and its worker, as `engine.isolation.wire.Channel` is."""

    def send(self, message: Any, body: Sequence[Buffer] = ()) -> None:
        """Send a message of plain data, and the parts of a body; OSError when nobody is there."""

    def receive(self) -> tuple[Any, Body]:
        """The next message and its body; EOFError when no more will come."""


class Reports:
    """Sends what one call reports."""

    def __init__(self, channel: Line, number: int) -> None:
        self._channel = channel
        self._number = number

    def report(self, node: str, kind: str, data: Mapping[str, Any], body: bytes = b"") -> None:
        """See `Listener`."""
        self._channel.send(
            {"say": "report", "number": self._number, "kind": kind, "data": data}, [body] if body else []
        )

    def used(self, what: str) -> None:
        """See `Context.used`."""
        self._channel.send({"say": "used", "number": self._number, "what": what})


class Yielded:
    """See `Context.yield_device`: the parent, who knows who else wants the device, is told and asked."""

    def __init__(self, ask: Callable[..., tuple[Any, Body]]) -> None:
        self._ask = ask

    def __enter__(self) -> None:
        self._tell(False)

    def __exit__(self, *raised: object) -> None:
        self._tell(True)

    async def __aenter__(self) -> None:
        await asyncio.to_thread(self._tell, False)

    async def __aexit__(self, *raised: object) -> None:
        await asyncio.to_thread(self._tell, True)

    def _tell(self, back: bool) -> None:
        answer, _ = self._ask(back=back)
        if answer["error"]:
            raise Cancelled(answer["error"])


class _LogSender(logging.Handler):
    def __init__(self, channel: Line) -> None:
        super().__init__()
        self._channel = channel

    def emit(self, record: logging.LogRecord) -> None:
        with contextlib.suppress(Exception):
            self._channel.send(
                {"say": "log", "name": record.name, "level": record.levelno, "text": record.getMessage()}
            )


def send_logs(channel: Line) -> None:
    """Weft's own log lines go through the parent's loggers, which know who listens and at which level."""
    log = logging.getLogger("weft")
    log.addHandler(_LogSender(channel))
    log.propagate = False
