"""Frames that are written many at once are what a client reads one by one."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from uvicorn.protocols.utils import ClientDisconnected
from websockets.client import ClientProtocol
from websockets.frames import Opcode
from websockets.protocol import CLOSED, OPEN
from websockets.uri import parse_uri

from weft.server.live.frames import PART_BYTES, FramesProtocol, parts, written

FRAMES: list[str | bytes] = [
    "", "a", "é" * 62, "é" * 63, "x" * 125, "x" * 126, b"y" * 4095, b"y" * 4096, "x" * 65535, b"y" * 65536, "end",
]  # fmt: skip


def test_a_client_reads_what_was_sent() -> None:
    client = ClientProtocol(parse_uri("ws://a/"), state=OPEN, max_size=None)
    client.receive_data(written(FRAMES))
    read = [event for event in client.events_received() if event.opcode in (Opcode.TEXT, Opcode.BINARY)]  # type: ignore[union-attr]
    assert [bytes(event.data) for event in read] == [  # type: ignore[union-attr]
        frame.encode() if isinstance(frame, str) else frame for frame in FRAMES
    ]
    assert [event.opcode == Opcode.TEXT for event in read] == [isinstance(frame, str) for frame in FRAMES]  # type: ignore[union-attr]


def test_a_large_frame_is_made_once_for_all_clients() -> None:
    data = bytes(32_768)
    assert written([data]) is written([data])
    assert written([data, b"a"]) == written([data]) + written([b"a"])


def test_text_and_bytes_of_the_same_letters_are_other_frames() -> None:
    assert written(["x" * 5000])[:1] == b"\x81"
    assert written([b"x" * 5000])[:1] == b"\x82"


def test_parts_are_all_of_it_and_bounded() -> None:
    frames: list[str | bytes] = ["x" * 1000] * 1000
    found = list(parts(frames))
    assert [frame for part in found for frame in part] == frames
    assert max(sum(map(len, part)) for part in found) <= PART_BYTES + 1000
    assert list(parts([])) == []


class Transport:
    def __init__(self) -> None:
        self.written: list[bytes] = []

    def write(self, data: bytes) -> None:
        self.written.append(data)


def protocol() -> Any:
    """One whose handshake is over."""
    found = FramesProtocol.__new__(FramesProtocol)
    found.writable = asyncio.Event()
    found.writable.set()
    found.disconnected = found.close_sent = False
    found.conn = ClientProtocol(parse_uri("ws://a/"), state=OPEN)
    found.transport = Transport()
    return found


def test_a_client_that_does_not_read_is_waited_for() -> None:
    async def go() -> None:
        one = protocol()
        one.writable.clear()
        sending = asyncio.create_task(one.send_frames(["a"]))
        await asyncio.sleep(0)
        assert one.transport.written == []
        one.writable.set()
        await sending
        assert one.transport.written == [b"\x81\x01a"]

    asyncio.run(go())


@pytest.mark.parametrize("how", ["disconnected", "close_sent", "state"])
def test_a_client_that_has_gone_is_told_of(how: str) -> None:
    async def go() -> None:
        one = protocol()
        if how == "state":
            one.conn.state = CLOSED
        else:
            setattr(one, how, True)
        with pytest.raises(ClientDisconnected):
            await one.send_frames(["a"])
        assert one.transport.written == []

    asyncio.run(go())
