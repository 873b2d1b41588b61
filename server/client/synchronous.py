"""`Client`: the same as `AsyncClient`, for plain code. Each method is the other's, called in a thread's event loop."""

from __future__ import annotations

import functools
import inspect
import weakref
from collections.abc import Callable, Coroutine, Generator
from types import TracebackType
from typing import Any, Concatenate, Generic, ParamSpec, Self, TypeVar, overload

from weft.server.client.asynchronous import AsyncClient
from weft.server.client.calling import PATIENCE
from weft.server.client.following import Event
from weft.server.client.portal import Portal
from weft.server.client.records import Job

P = ParamSpec("P")
R = TypeVar("R")


class Blocking(Generic[P, R]):
    """A method that waits for what a method of `AsyncClient` returns; with its arguments and its documentation."""

    def __init__(self, method: Callable[Concatenate[AsyncClient, P], Coroutine[Any, Any, R]]) -> None:
        self._method = method
        functools.update_wrapper(self, method)  # type: ignore[arg-type]

    @overload
    def __get__(self, client: None, owner: type) -> Self: ...
    @overload
    def __get__(self, client: Client, owner: type) -> Callable[P, R]: ...
    def __get__(self, client: Client | None, owner: type) -> Self | Callable[P, R]:
        if client is None:
            return self

        @functools.wraps(self._method)
        def call(*args: P.args, **kwargs: P.kwargs) -> R:
            return client._portal.call(self._method(client._client, *args, **kwargs))

        signature = inspect.signature(self._method)
        others = list(signature.parameters.values())[1:]
        call.__signature__ = signature.replace(parameters=others)  # type: ignore[attr-defined]
        return call


class Client:
    """A client of one server, for plain code, also within a notebook. Several threads may use it.

    Args:
        server: its address, also with the `#token=` that `weft serve` prints; by default `WEFT_SERVER`, else this
            machine at port 9338.
        token: by default the address's, else `WEFT_TOKEN`: the token itself, or the path of the file that has it.
        patience: for how many seconds a call is tried again where the connection breaks or the server is busy.

    Raises:
        ValueError: that is no address.
    """

    def __init__(self, server: str | None = None, *, token: str | None = None, patience: float = PATIENCE) -> None:
        self._client = AsyncClient(server, token=token, patience=patience)
        self._portal = Portal()
        weakref.finalize(self, _end, self._client, self._portal)  # a client that nobody closed leaves nothing behind

    @property
    def address(self) -> str:
        """The server's address, without the token."""
        return self._client.address

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the connections. Jobs go on."""
        _end(self._client, self._portal)

    def events(self, job: Job | str, since: int = 0, *, previews: bool = False) -> Generator[Event, None, None]:
        """See `AsyncClient.events`."""
        # A generator of ours: it keeps the client, of which nobody else may know any more.
        yield from self._portal.each(self._client.events(job, since, previews=previews))

    submit = Blocking(AsyncClient.submit)
    run = Blocking(AsyncClient.run)
    wait = Blocking(AsyncClient.wait)
    job = Blocking(AsyncClient.job)
    jobs = Blocking(AsyncClient.jobs)
    workflow = Blocking(AsyncClient.workflow)
    cancel = Blocking(AsyncClient.cancel)
    retry = Blocking(AsyncClient.retry)
    move = Blocking(AsyncClient.move)
    delete = Blocking(AsyncClient.delete)
    check = Blocking(AsyncClient.check)
    plan = Blocking(AsyncClient.plan)
    nodes = Blocking(AsyncClient.nodes)
    saved_workflows = Blocking(AsyncClient.saved_workflows)
    saved_workflow = Blocking(AsyncClient.saved_workflow)
    save_workflow = Blocking(AsyncClient.save_workflow)
    delete_workflow = Blocking(AsyncClient.delete_workflow)
    versions = Blocking(AsyncClient.versions)
    submit_saved = Blocking(AsyncClient.submit_saved)
    queue = Blocking(AsyncClient.queue)
    pause = Blocking(AsyncClient.pause)
    resume = Blocking(AsyncClient.resume)
    system = Blocking(AsyncClient.system)
    upload = Blocking(AsyncClient.upload)
    download = Blocking(AsyncClient.download)


def _end(client: AsyncClient, portal: Portal) -> None:
    portal.finish(client.close)
