"""State events come each once, in their order, without a gap; of others the latest."""

from __future__ import annotations

import asyncio
import json
import random

import pytest

from tests.server.live.fakes import Events
from weft.server.live.listener import MOST_STATES, Behind, Listener


async def taken(listener: Listener) -> list[str | bytes]:
    """All that is there now."""
    found: list[str | bytes] = []
    while True:
        try:
            async with asyncio.timeout(0.01):
                found += await listener.take()
        except TimeoutError:
            return found


def states(texts: list[str | bytes], job: str) -> list[int]:
    events = [json.loads(text) for text in texts]
    return [event["state"] for event in events if event["job"] == job]


def test_what_was_missed_comes_before_what_comes_live() -> None:
    async def go() -> list[str | bytes]:
        events = Events()
        events.add("a", 8)
        listener = Listener(events.fetch)
        # While the store is asked, more happens; that is told once.
        events.meanwhile = lambda: listener.put_states(*events.add("a", 2))
        listener.want(None, {"a": 3})
        return await taken(listener)

    assert states(asyncio.run(go()), "a") == [3, 4, 5, 6, 7, 8, 9]


def test_a_gap_is_filled_from_the_store() -> None:
    async def go() -> list[str | bytes]:
        events = Events()
        listener = Listener(events.fetch)
        listener.want(None, {})
        listener.put_states(*events.add("a", 2))
        events.add("a", 2)  # which it was not told of
        listener.put_states(*events.add("a", 1))
        return await taken(listener)

    assert states(asyncio.run(go()), "a") == [0, 1, 2, 3, 4]


@pytest.mark.parametrize("seed", range(20))
def test_whatever_happens_meanwhile_nothing_is_missed_or_told_twice(seed: int) -> None:
    async def go() -> list[str | bytes]:
        draw = random.Random(seed)
        events = Events()
        events.add("a", draw.randrange(5))
        listener = Listener(events.fetch)
        listener.want(None, {"a": 0})
        found: list[str | bytes] = []
        for _ in range(30):
            match draw.randrange(4):
                case 0:
                    listener.put_states(*events.add("a", draw.randrange(1, 4)))
                case 1:
                    events.add("a", 1)
                case 2:
                    found += await taken(listener)
                case 3:
                    events.meanwhile = lambda: listener.put_states(*events.add("a", 1))
        listener.put_states(*events.add("a", 1))
        found += await taken(listener)
        assert states(found, "a") == list(range(len(events.texts["a"])))
        return found

    asyncio.run(go())


def test_of_what_passes_the_latest_is_told_after_the_states() -> None:
    async def go() -> list[str | bytes]:
        events = Events()
        listener = Listener(events.fetch)
        listener.want(None, {}, previews=True)
        for step in range(5):
            listener.put_passing(("a", "node_progress", "n"), f"progress {step}")
        listener.put_passing(("a", "node_progress", "m"), "other node")
        listener.put_passing(("a", "node_preview", "n"), b"picture")
        listener.put_passing(("a", "node_progress", "n"), "last")
        listener.put_states(*events.add("a"))
        return await taken(listener)

    told = asyncio.run(go())
    assert told[1:] == ["other node", b"picture", "last"]
    assert states(told[:1], "a") == [0]


def test_one_that_takes_nothing_is_behind_and_no_more_is_kept_for_it() -> None:
    async def go() -> None:
        events = Events()
        listener = Listener(events.fetch)
        listener.want(None, {})
        for _ in range(5):
            listener.put_states(*events.add("a", MOST_STATES))
        assert listener._waiting <= 2 * MOST_STATES
        await listener.take()

    with pytest.raises(Behind):
        asyncio.run(go())


def test_jobs_that_are_not_followed_and_then_are() -> None:
    async def go() -> list[str | bytes]:
        events = Events()
        listener = Listener(events.fetch)
        listener.want(["a"], {})
        assert listener.follows("a")
        assert not listener.follows("b")
        listener.put_states(*events.add("a", 2))
        found = await taken(listener)
        listener.want([], {})
        events.add("a", 2)
        listener.want(["a"], {})
        listener.put_states(*events.add("a", 1))
        return found + await taken(listener)

    assert states(asyncio.run(go()), "a") == [0, 1, 2, 3, 4]


def test_jobs_that_have_ended_are_forgotten() -> None:
    async def go() -> None:
        events = Events()
        listener = Listener(events.fetch)
        listener.want(None, {"early": 0})
        for number in range(100):
            listener.put_states(*events.add(f"job {number}", 2))
            if number % 2:
                await taken(listener)
            listener.put_end(f"job {number}")
        await taken(listener)
        assert set(listener._next) <= {"early"}
        # One that ended while it was to be told again is told from where it was asked for, and then forgotten too.
        events.add("early", 5)
        listener.want(None, {"early": 2})
        listener.put_end("early")
        assert states(await taken(listener), "early") == [2, 3, 4]
        assert not listener._next

    asyncio.run(go())
