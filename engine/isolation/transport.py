"""A worker as the runs of this process see it, wherever it is: calls go there, and what it says comes back.

`engine.isolation.supervisor.Worker` is one in a process of its own. Another kind says how a message gets there
(`send`), hands what comes back to `received`, and says `end` when nothing more will come.
"""

from __future__ import annotations

import abc
import contextlib
import logging
import secrets
import threading
import time
import weakref
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from weft.engine.cache.codec import Buffer
from weft.engine.errors import Elsewhere
from weft.engine.isolation.parcels import Address
from weft.engine.isolation.wire import Body

ANSWER_SECONDS = 5.0
"""An idle worker that says nothing for so long is replaced."""


@dataclass(slots=True)
class Call:
    """A call in flight.

    Attributes:
        node: whose it is.
        on_message: takes what the node says while it runs.
        on_end: called once: with the answer, or with why there is none.
        seconds: how long it may take; None for what the worker's limits say.
        began: when, by the worker's clock. thread: where, as the worker numbers its threads.
        timeout: how long it may take by its node's own limit; None for as long as it wants.
    """

    node: str
    on_message: Callable[[dict[str, Any], Body], None]
    on_end: Callable[[dict[str, Any] | None, Body, BaseException | None], None]
    seconds: float | None = None
    began: float | None = None
    thread: int | None = None
    timeout: float | None = None


class Transport(abc.ABC):
    """The way to one worker, which serves one run at a time.

    Args:
        slot: which of several workers it is.
        clock: what limits are measured by, in seconds.

    Attributes:
        owner: a name for it that no other worker has; what it makes and cannot send is known by that.
        live: addresses of the live values that it holds.
        dropped: addresses that nobody here names any more. A deque: the garbage collector adds to it at any moment.
        calls: those in flight, by number.
        alive: whether it can still be asked.
    """

    def __init__(self, slot: int = 0, clock: Callable[[], float] = time.monotonic) -> None:
        self.clock = clock
        self.owner = secrets.token_hex(6)
        self.slot = slot
        self.live: set[Address] = set()
        self.dropped: deque[Address] = deque()
        self.calls: dict[int, Call] = {}
        self.alive = True
        self._lock = threading.Lock()
        self._answered = threading.Event()
        _transports.add(self)

    # -- what each kind does in its own way

    @abc.abstractmethod
    def send(self, message: dict[str, Any], body: Sequence[Buffer] = ()) -> None:
        """Send a message of plain data and the parts of a body; from any thread.

        Raises:
            OSError: nobody is there any more.
        """

    @abc.abstractmethod
    def close(self) -> None:
        """End the worker, whatever it does. Calls in flight are told."""

    def lost(self) -> BaseException:
        """Why a call has no answer once the worker is gone."""
        return Elsewhere("WorkerDied", "its worker is gone")

    def adopt(self, addresses: Iterable[Address]) -> None:  # noqa: B027
        """Take over live values from the workers that own them, where there is a way, and add them to `live`.

        What is not in `live` then is made again from its recipe.
        """

    @property
    def bytes_taken(self) -> int:
        """How much memory it takes now with the processes that its nodes started; 0 where nobody knows."""
        return 0

    # -- from the run

    def ready(self) -> bool:
        """Whether it answers. One that is dying seems to live until its last thread is gone."""
        self._answered.clear()
        try:
            self.send({"do": "ping"})
        except OSError:
            return False
        return self._answered.wait(ANSWER_SECONDS) and self.alive

    def begin(self) -> None:
        """Make ready for a run."""
        with contextlib.suppress(OSError):
            self.send({"do": "begin"})

    def call(self, number: int, call: Call, message: dict[str, Any], body: Sequence[Buffer] = ()) -> None:
        """Send a call. Its end is told through `call.on_end`, also when the worker is gone."""
        with self._lock:
            gone = not self.alive
            if not gone:
                self.calls[number] = call
        if gone:
            call.on_end(None, bytearray(), self.lost())
            return
        try:
            if self.dropped:
                addresses = [self.dropped.popleft() for _ in range(len(self.dropped))]
                self.live.difference_update(addresses)
                self.send({"do": "drop", "addresses": addresses})
            self.send(message, body)
        except OSError:
            pass  # nobody reads any more: `ended` tells each call
        except Exception as error:
            with self._lock:
                mine = self.calls.pop(number, None)
            if mine is not None:
                mine.on_end(None, bytearray(), error)

    def stop(self) -> None:
        """Ask the calls in flight to end."""
        with contextlib.suppress(OSError):
            self.send({"do": "stop"})

    def settle(self) -> None:  # noqa: B027
        """After a run: nothing is in flight, and nothing is being stopped."""

    # -- from the worker

    def received(self, message: dict[str, Any], body: Body) -> None:
        """Take a message from the worker."""
        say = message["say"]
        if say == "pong":
            self._answered.set()
            return
        if say == "log":
            logging.getLogger(message["name"]).log(message["level"], "%s", message["text"])
            return
        if say == "beat":
            return
        number = message["task"] if say == "ask" else message["number"]
        with self._lock:
            call = self.calls.pop(number, None) if say == "done" else self.calls.get(number)
        if call is None:
            if say == "ask":  # a thread that its node left behind
                with contextlib.suppress(OSError):
                    self.send(
                        {"do": "answer", "number": message["number"], "error": "its node has ended", "late": True}
                    )
        elif say == "began":
            call.began, call.thread = self.clock(), message["thread"]
        elif say == "done":
            call.on_end(message, body, None)
        else:
            call.on_message(message, body)

    def end(self) -> None:
        """The worker is gone: tell every call."""
        for call in self.ended().values():
            call.on_end(None, bytearray(), self.lost())

    def ended(self) -> dict[int, Call]:
        """The worker is gone: nothing more can be asked. Returns the calls that are to be told why."""
        with self._lock:
            self.alive = False
            calls, self.calls = self.calls, {}
        self._answered.set()
        return calls


_transports: weakref.WeakSet[Transport] = weakref.WeakSet()


def forget(address: Address) -> None:
    """Let every worker that holds this live value let go of it, with its next call."""
    for transport in list(_transports):
        if address in transport.live:
            transport.dropped.append(address)
