"""One server: its parts put together, started, kept in order, and ended so that nothing accepted is lost."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import secrets
import signal
import socket
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import uvicorn
from starlette.types import ASGIApp

from weft.server.api.app import build
from weft.server.api.deck import Deck
from weft.server.documents.saved import SavedWorkflows
from weft.server.files.blobs import BlobStore
from weft.server.files.collect import collect
from weft.server.files.local import LocalFiles
from weft.server.files.thumbnails import Thumbnails
from weft.server.guard.hosts import Hosts
from weft.server.guard.rules import Rules
from weft.server.heads import BoundedHeads
from weft.server.keeping import Keeper
from weft.server.live.frames import FramesProtocol
from weft.server.live.hub import Hub
from weft.server.live.shared import SharedHub
from weft.server.metrics import Metrics
from weft.server.scrub import Scrubber
from weft.server.settings import Settings
from weft.server.store.desk import Desk
from weft.server.store.opening import FolderLock, open_folder
from weft.server.store.protocol import JobStore
from weft.server.store.sqlite import SqliteStore
from weft.server.workers.dispatcher import Dispatcher
from weft.server.workers.home import Home
from weft.server.workers.means import Means
from weft.server.workers.means import Rules as WorkerRules
from weft.server.workers.process import Questions

if TYPE_CHECKING:
    from weft.server.store.postgres import PostgresStore

log = logging.getLogger("weft.server")

HOUR = 3600.0
BACKLOG = 512


class Serving:
    """A server of some settings.

    Args:
        token: what callers need; None where only this machine reaches it.
        announce: called with the address once requests are accepted.
        worker_rules: how workers are used.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        token: str | None = None,
        announce: Callable[[str], object] = lambda address: None,
        worker_rules: WorkerRules | None = None,
    ) -> None:
        self.settings = settings
        self._token = token
        self._announce = announce
        self._worker_rules = worker_rules
        self._stops = 0
        self._stopping = asyncio.Event()
        self._uvicorn: uvicorn.Server | None = None

    async def run(self) -> None:
        """Serve until a signal ends it.

        Raises:
            StoreError: the data folder cannot be used. OSError: the address cannot.
        """
        settings = self.settings
        listener = _listen(settings.host, settings.port)
        try:
            lock, store = await asyncio.to_thread(self._open_store)
            async with self._parts(lock, store) as deck:
                app = self._app(deck, listener.getsockname()[1])
                await self._serve(app, listener, deck)
        finally:
            listener.close()

    def stop(self) -> None:
        """End: at the first call in order, at the second at once."""
        self._stops += 1
        self._stopping.set()
        if self._stops > 1 and self._uvicorn is not None:
            self._uvicorn.force_exit = True

    def _open_store(self) -> tuple[FolderLock, SqliteStore | PostgresStore]:
        """The data folder's lock, and where jobs are kept."""
        settings = self.settings
        if settings.database is None:
            opened = open_folder(settings.data, most_queued=settings.max_queued)
            return opened.lock, opened.store
        from weft.server.store.postgres import PostgresStore

        lock = FolderLock(settings.data)
        try:
            return lock, PostgresStore(settings.database, most_queued=settings.max_queued)
        except BaseException:
            lock.close()
            raise

    def _open_files(self) -> tuple[BlobStore, LocalFiles]:
        """Where files are kept, and the folder that nodes read them from."""
        settings = self.settings
        near = LocalFiles(settings.data / "files", min_free=settings.min_free_mib << 20)
        if settings.store is None:
            return near, near
        from weft.server.files.remote import FsspecFiles

        return FsspecFiles(settings.store), near

    @contextlib.asynccontextmanager
    async def _parts(self, lock: FolderLock, store: SqliteStore | PostgresStore) -> AsyncIterator[Deck]:
        settings = self.settings
        folder = settings.data
        blobs, near = self._open_files()
        desk = Desk(store)
        shared = None if isinstance(store, SqliteStore) else SharedHub(store.heard, desk)
        hub = Hub() if shared is None else shared

        async def queue_state() -> dict[str, Any]:
            counts = await desk.counts()
            named = {state: counts.get(state, 0) for state in ("queued", "running")}
            return {"paused": await desk.paused(), **named}

        hub.queue_state = queue_state
        home = Home(
            cache=str(folder / "cache"),
            out=str(folder / "work"),
            files=str(folder / "files"),
            roots=tuple(str(Path(item).absolute()) for item in settings.inputs),
            models=tuple(str(Path(item).absolute()) for item in settings.models),
            nodes=() if settings.safe_mode else tuple(str(Path(item).absolute()) for item in settings.nodes),
            own_nodes_only=settings.safe_mode,
        )
        keeper = Keeper(blobs, None if near is blobs else near)
        rules = self._worker_rules or replace(WorkerRules(), worker_bytes=settings.worker_mib << 20 or None)
        means = Means(desk, keeper, hub, home, rules, metrics=Metrics())
        dispatcher = Dispatcher(
            means,
            folder / "work",
            owner=secrets.token_hex(8),
            count=settings.workers,
            hear=None if isinstance(store, SqliteStore) else store.wait,
        )
        questions = Questions(home, means.rules.limits)
        thumbnails = Thumbnails(blobs, folder / "files" / ".thumbnails")
        deck = Deck(
            desk,
            hub,
            dispatcher,
            questions,
            folder,
            blobs,
            thumbnails,
            keeper,
            SavedWorkflows(folder / "workflows", folder / "versions"),
            means.metrics or Metrics(),
            free_bytes=settings.min_free_mib << 20,
        )
        listening = None if shared is None else asyncio.create_task(shared.listen())
        try:
            await dispatcher.start()
            yield deck
        finally:
            await self._drain(deck)  # where an error ended it; else nothing runs any more
            if listening is not None:
                listening.cancel()
                await asyncio.gather(listening, return_exceptions=True)
            await questions.close()
            await asyncio.to_thread(thumbnails.close)
            await desk.close()
            lock.close()

    async def _drain(self, deck: Deck) -> None:
        """Take no more jobs, and let what runs come to its end, unless somebody is in a hurry."""
        deck.draining = True
        dispatcher = deck.dispatcher
        ending = asyncio.create_task(dispatcher.close(0.0 if self._stops > 1 else self.settings.drain_seconds))
        while not ending.done():
            await asyncio.wait([ending], timeout=0.1)
            if self._stops > 1:
                dispatcher.hurry()
        await ending

    def _app(self, deck: Deck, port: int) -> ASGIApp:
        settings = self.settings
        folders: dict[str | Path, str] = {settings.data: "<data>"}
        folders |= dict.fromkeys(settings.models, "<models>")
        folders |= dict.fromkeys(settings.inputs, "<inputs>")
        folders |= dict.fromkeys(settings.nodes, "<nodes>")
        scrub = Scrubber.of_machine(folders, settings.secrets(self._token))  # type: ignore[arg-type]
        deck.scrub = scrub
        deck.dispatcher.means.scrub, deck.dispatcher.means.suspects = scrub.data, scrub.suspects
        rules = Rules(Hosts.of(settings.host, port, settings.names), token=self._token)
        return build(deck, rules, scrub, debug=settings.debug)

    async def _serve(self, app: ASGIApp, listener: socket.socket, deck: Deck) -> None:
        config = uvicorn.Config(
            app,
            log_config=None,
            access_log=False,
            lifespan="off",
            http=BoundedHeads,
            ws=FramesProtocol,
            ws_max_size=64 * 1024,
            ws_per_message_deflate=False,
            ws_ping_interval=20.0,
            ws_ping_timeout=20.0,
            backlog=BACKLOG,
            server_header=False,
            date_header=False,
            proxy_headers=False,
            timeout_graceful_shutdown=2,
        )
        server = self._uvicorn = _Server(config)
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            with contextlib.suppress(NotImplementedError, RuntimeError, ValueError):  # not the main thread
                loop.add_signal_handler(number, self.stop)
        serving = asyncio.create_task(server.serve([listener]))
        upkeep = asyncio.create_task(self._upkeep(deck))
        while not server.started and not serving.done():
            await asyncio.sleep(0.005)
        if not serving.done():
            self._announce(_address(self.settings.host, listener.getsockname()[1]))
        stopping = asyncio.create_task(self._stopping.wait())
        await asyncio.wait([serving, stopping], return_when=asyncio.FIRST_COMPLETED)
        # What is accepted stays reachable while what runs comes to its end; new jobs are told to come again.
        await self._drain(deck)
        server.should_exit = True
        upkeep.cancel()
        stopping.cancel()
        await asyncio.gather(serving, upkeep, stopping, return_exceptions=True)

    async def _upkeep(self, deck: Deck) -> None:
        """By the hour: a backup, files that nobody needs, keys that are old."""
        while True:
            await asyncio.sleep(HOUR)
            for what in (self._backup, self._renew, self._collect, self._sweep):
                try:
                    await what(deck)
                except Exception:
                    log.exception("what is done by the hour failed")

    async def _backup(self, deck: Deck) -> None:
        def back_up(store: JobStore) -> None:
            if isinstance(store, SqliteStore):
                store.backup(time.time())

        await deck.desk.read(back_up)

    async def _renew(self, deck: Deck) -> None:
        await deck.renew()

    async def _collect(self, deck: Deck) -> None:
        loop = asyncio.get_running_loop()

        def named() -> set[str]:
            return asyncio.run_coroutine_threadsafe(deck.named_files(), loop).result()

        await asyncio.to_thread(collect, deck.blobs, named, deck.thumbnails, clock=deck.patient)
        if deck.keeper.near is not None:  # copies, which come again when they are needed
            await asyncio.to_thread(collect, deck.keeper.near, named, clock=deck.patient)

    async def _sweep(self, deck: Deck) -> None:
        await deck.desk.sweep(time.time())


class _Server(uvicorn.Server):
    """One that leaves signals to us."""

    @contextlib.contextmanager
    def capture_signals(self):  # type: ignore[no-untyped-def]
        yield


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # With the protocol said, asyncio sets TCP_NODELAY. Else an answer's body waits 40 ms for its head to be confirmed.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen(BACKLOG)
        listener.setblocking(False)
    except BaseException:
        listener.close()
        raise
    return listener


def _address(host: str, port: int) -> str:
    shown = f"[{host}]" if ":" in host else host
    return f"http://{shown}:{port}/"
