"""A client at a websocket: what it may say, and when it is left."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from tests.server.live.fakes import Events, Socket
from weft.server.live.hub import Hub
from weft.server.live.listener import MOST_STATES
from weft.server.live.sockets import FRAME_BYTES, follow
from weft.server.store.protocol import Unavailable


def served(script: Callable[[Socket, Hub, Events], Awaitable[None]], **options: float) -> Socket:
    """A client that does something, once it has been left."""

    async def go() -> Socket:
        socket, hub, events = Socket(), Hub(), Events()
        following = asyncio.create_task(follow(socket, hub, events.fetch, **options))  # type: ignore[arg-type]
        await script(socket, hub, events)
        await asyncio.wait_for(following, 30)
        assert len(hub) == hub.sockets == 0
        assert len(asyncio.all_tasks()) == 1
        return socket

    return asyncio.run(go())


async def sent(socket: Socket, count: int) -> None:
    while len(socket.sent) < count:
        await asyncio.sleep(0.001)


async def followed(hub: Hub) -> None:
    while not any(listener.follows("a") for listener in hub._listeners):
        await asyncio.sleep(0.001)


def test_a_client_is_told_what_it_wants_and_may_want_otherwise() -> None:
    async def script(socket: Socket, hub: Hub, events: Events) -> None:
        events.add("a", 4)
        socket.say({"subscribe": {"jobs": ["a"], "since": {"a": 2}}})
        await sent(socket, 2)
        hub.states(*events.add("a"))
        hub.states(*events.add("b"))
        await sent(socket, 3)
        socket.say({"subscribe": {"jobs": "all", "since": {"b": 0}}})
        await sent(socket, 4)
        socket.said.put_nowait({"type": "websocket.disconnect"})

    socket = served(script)
    assert ['"a", "state": 2' in str(socket.sent[0]), '"b"' in str(socket.sent[3])] == [True, True]
    assert socket.closed is None


@pytest.mark.parametrize(
    ("said", "code", "words"),
    [
        ("no json", 1008, "Expecting value"),
        ("[" * 30_000, 1008, ""),
        ([], 1008, "subscribe"),
        ({}, 1008, "subscribe"),
        ({"subscribe": []}, 1008, "subscribe"),
        ({"subscribe": {"jobs": "some"}}, 1008, "jobs"),
        ({"subscribe": {"jobs": [1]}}, 1008, "jobs"),
        ({"subscribe": {"jobs": ["a"] * 1001}}, 1008, "jobs"),
        ({"subscribe": {"since": [1]}}, 1008, "since"),
        ({"subscribe": {"since": {"a": -1}}}, 1008, "since"),
        ({"subscribe": {"since": {"a": True}}}, 1008, "since"),
        ({"subscribe": {"since": {"a": 1.5}}}, 1008, "since"),
        ({"subscribe": {"since": {"a": 1 << 60}}}, 1008, "since"),
        ({"subscribe": {"previews": "yes"}}, 1008, "previews"),
        ({"subscribe": {"job": []}}, 1008, "'job'"),
        ("x" * (FRAME_BYTES + 1), 1009, "65536"),
    ],
)
def test_what_cannot_be_understood_ends_it_and_says_why(said: Any, code: int, words: str) -> None:
    async def script(socket: Socket, hub: Hub, events: Events) -> None:
        socket.say(said)

    closed = served(script).closed
    assert closed is not None
    assert closed[0] == code
    assert words in closed[1]
    assert len(closed[1].encode()) <= 123  # what a frame that closes may hold


def test_bytes_are_not_understood() -> None:
    async def script(socket: Socket, hub: Hub, events: Events) -> None:
        socket.said.put_nowait({"type": "websocket.receive", "bytes": b"x"})

    assert served(script).closed == (1003, "send text: JSON with `subscribe`")


def test_one_that_reads_nothing_is_left() -> None:
    async def script(socket: Socket, hub: Hub, events: Events) -> None:
        socket.reads.clear()
        socket.say({"subscribe": {"jobs": "all"}})
        await followed(hub)
        hub.states(*events.add("a"))

    closed = served(script, stall_seconds=0.05).closed
    assert closed is not None
    assert closed[0] == 1013
    assert "since" in closed[1]


def test_one_that_is_too_far_behind_is_left() -> None:
    async def script(socket: Socket, hub: Hub, events: Events) -> None:
        socket.say({"subscribe": {"jobs": "all"}})
        await followed(hub)
        for _ in range(2):
            hub.states(*events.add("a", MOST_STATES))

    closed = served(script).closed
    assert closed is not None
    assert closed[0] == 1013
    assert "since" in closed[1]


def test_events_that_cannot_be_read_let_it_come_again() -> None:
    async def script(socket: Socket, hub: Hub, events: Events) -> None:
        def fail() -> None:
            raise Unavailable("locked")

        events.add("a")
        events.meanwhile = fail
        socket.say({"subscribe": {"jobs": "all", "since": {"a": 0}}})

    closed = served(script).closed
    assert closed is not None
    assert closed[0] == 1013
