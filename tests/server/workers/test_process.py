"""A worker that takes nothing holds up those who ask it, and nobody else."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest

from weft.engine.running.executor import Done, Task
from weft.server.workers.home import Home
from weft.server.workers.means import Rules
from weft.server.workers.process import Questions


class Transport:
    """A process that is there."""

    alive = True

    def ready(self) -> None:
        """See `Worker`."""

    def settle(self) -> None:
        """See `Worker`."""

    def close(self) -> None:
        """See `Worker`."""


def test_a_question_that_the_worker_does_not_take_holds_up_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    waiting, go_on = threading.Event(), threading.Event()

    class Stuck:
        """A connection whose other end reads nothing until the test lets it."""

        def __init__(self, worker: Any, begin: Any) -> None:
            pass

        def submit(self, task: Task, told: Any) -> None:
            waiting.set()
            assert go_on.wait(60)
            told(Done(task.number, '"answered"', None, 0.0))

        def stop(self) -> None:
            pass

    monkeypatch.setattr("weft.server.workers.process.Isolated", Stuck)

    async def go() -> list[Any]:
        questions = Questions(Home(cache=None, out=""), Rules().limits, lambda: Transport())  # type: ignore[arg-type,return-value]
        asked = [asyncio.create_task(questions.ask("nodes")) for _ in range(100)]
        while not waiting.is_set():
            await asyncio.sleep(0.001)
        # The loop goes on, and so do the threads that everything else uses.
        assert await asyncio.gather(*(asyncio.to_thread(abs, -number) for number in range(100))) == list(range(100))
        go_on.set()
        found = await asyncio.gather(*asked)
        await questions.close()
        return found

    assert asyncio.run(go()) == ["answered"] * 100
