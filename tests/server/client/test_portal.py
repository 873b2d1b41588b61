"""The thread by which plain code calls coroutines."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncGenerator, Coroutine
from typing import Any

import pytest

from weft.server.client.portal import Portal


class _Interrupted(Portal):
    """Is interrupted once, between a step being sent on its way and somebody having hold of it."""

    def __init__(self, begun: threading.Event) -> None:
        super().__init__()
        self._begun = begun
        self._interrupts = 1

    def call(self, coroutine: Coroutine[Any, Any, Any]) -> Any:
        """See `Portal`."""
        if self._interrupts:
            self._interrupts -= 1
            asyncio.run_coroutine_threadsafe(coroutine, self._running())
            assert self._begun.wait(10)
            raise KeyboardInterrupt
        return super().call(coroutine)


def test_an_interrupt_ends_a_step_that_nobody_has_hold_of() -> None:
    begun, ended = threading.Event(), threading.Event()

    async def nothing_comes() -> AsyncGenerator[int, None]:
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()
        yield 1

    with pytest.raises(KeyboardInterrupt):
        next(_Interrupted(begun).each(nothing_comes()))
    assert ended.is_set()
