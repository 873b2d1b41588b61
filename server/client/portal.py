"""An event loop in a thread of its own, by which plain code calls coroutines: also where a loop runs already."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import AsyncGenerator, Callable, Coroutine, Generator
from typing import Any, TypeVar

T = TypeVar("T")
CLOSE_SECONDS = 5.0


class Portal:
    """Runs coroutines for any thread. Its own thread starts with the first one, and does not keep the process alive."""

    def __init__(self) -> None:
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._lock = threading.Lock()

    def call(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """What a coroutine returns; an interrupt ends the coroutine.

        Raises:
            RuntimeError: the loop's own thread calls, which would wait for itself.
        """
        loop = self._running()
        if threading.current_thread() is self._thread:
            coroutine.close()
            raise RuntimeError("a client's own thread cannot wait for the client")
        future = asyncio.run_coroutine_threadsafe(coroutine, loop)
        try:
            return future.result()
        except BaseException:
            future.cancel()
            raise

    def each(self, items: AsyncGenerator[T, None]) -> Generator[T, None, None]:
        """The items of an asynchronous generator, which is closed with this one."""
        # Where a step was interrupted its coroutine still comes to its end: closing waits for that. An interrupt may
        # come when it is on its way and nobody has hold of it yet, and it may wait for something that never comes.
        stepping = asyncio.Lock()
        steps: list[asyncio.Task[Any] | None] = [None]

        async def step() -> T:
            async with stepping:
                steps[0] = asyncio.current_task()
                return await anext(items)

        async def close() -> None:
            if (last := steps[0]) is not None:
                last.cancel()
            async with stepping:
                await items.aclose()

        try:
            while True:
                try:
                    item = self.call(step())
                except StopAsyncIteration:
                    return
                yield item
        finally:
            loop = self._loop
            if loop is None:
                pass  # the client was closed, and its connections with it
            elif threading.current_thread() is self._thread:
                loop.create_task(close())  # the garbage collector ran there and ended us
            else:
                self.call(close())

    def finish(self, last: Callable[[], Coroutine[Any, Any, object]]) -> None:
        """Call something for the last time and end the thread; nothing happens where there was never one."""
        with self._lock:
            loop, thread, self._loop, self._thread = self._loop, self._thread, None, None
        if loop is None or thread is None:
            return
        if thread is threading.current_thread():  # in which the garbage collector may find that nobody needs us
            loop.stop()
            return
        with contextlib.suppress(Exception):
            asyncio.run_coroutine_threadsafe(last(), loop).result(CLOSE_SECONDS)
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()

    def _running(self) -> asyncio.AbstractEventLoop:
        with self._lock:
            if self._loop is None:
                self._loop = asyncio.new_event_loop()
                self._thread = threading.Thread(target=self._loop.run_forever, name="weft-client", daemon=True)
                self._thread.start()
            return self._loop
