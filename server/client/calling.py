"""One call of a server: tried again where the connection broke or the server is busy, and typed errors."""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import AsyncIterator, Mapping
from typing import Any

import httpx

from weft.graphs.problems import WorkflowError
from weft.server.client.addresses import Address
from weft.server.client.errors import NoServerError, RefusedError, refusal
from weft.server.client.records import problems_of

MOST_REFUSALS = 5
"""A server that is busy is asked so often."""
PATIENCE = 30.0
_FIRST_PAUSE, _LONGEST_PAUSE = 0.1, 2.0
_TRY_AGAIN = frozenset({429, 502, 503, 504})


class Calls:
    """Calls of one server. All of them may be made twice: what makes something new carries a key.

    Args:
        patience: for how many seconds a call is tried again. A server that never answered is not tried again.
        timeout: seconds without a byte after which a connection counts as broken.
    """

    def __init__(self, address: Address, *, patience: float = PATIENCE, timeout: float = 60.0) -> None:
        self.address = address
        self.patience = patience
        self.headers = {} if address.token is None else {"Authorization": f"Bearer {address.token}"}
        self._reached = False
        self._http = httpx.AsyncClient(
            headers={**self.headers, "User-Agent": "weft"},
            timeout=httpx.Timeout(timeout, connect=10.0),
            trust_env=not address.local,
            verify=address.base.startswith("https:"),  # reading the certificates takes a tenth of a second
        )

    async def close(self) -> None:
        """End its connections."""
        await self._http.aclose()

    async def json(
        self,
        method: str,
        path: str,
        *,
        body: Any = None,
        content: bytes | None = None,
        params: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Any:
        """Ask for something below `/api/v1/`; the answer's JSON, None when it is empty.

        Raises:
            NoServerError: nobody answers. RefusedError: the server says no. WorkflowError: the workflow is wrong.
        """
        answer = await self.answer(method, path, body=body, content=content, params=params, headers=headers)
        if not answer.content:
            return None
        try:
            return answer.json()
        except ValueError:
            raise RefusedError(answer.status_code, "no_json", f"{self.address.base} is no Weft server") from None

    async def answer(
        self,
        method: str,
        path: str,
        *,
        body: Any = None,
        content: bytes | None = None,
        params: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> httpx.Response:
        """As `json`, the answer itself."""
        attempt = Attempts(self.patience)
        while True:
            try:
                answer = await self._http.request(
                    method,
                    self.address.of_path(path),
                    json=body,
                    content=content,
                    params={name: value for name, value in (params or {}).items() if value is not None},
                    headers=dict(headers or {}),
                )
            except httpx.TransportError as error:
                await self.lost(error, attempt)
                continue
            self._reached = True
            if answer.is_success or answer.status_code == 304:
                return answer
            if method == "DELETE" and answer.status_code == 404 and attempt.losses:
                return httpx.Response(204)  # the answer to the call before was lost
            error_ = refused(answer)
            if not (
                answer.status_code in _TRY_AGAIN
                and isinstance(error_, RefusedError)
                and attempt.refused() < MOST_REFUSALS
                and await attempt.pause(error_.retry_after)
            ):
                raise error_

    @contextlib.asynccontextmanager
    async def stream(self, path: str, headers: Mapping[str, str] | None = None) -> AsyncIterator[httpx.Response]:
        """An answer that is read bit by bit. Not tried again.

        Raises:
            RefusedError: the server says no. httpx.TransportError: the connection broke.
        """
        async with self._http.stream("GET", self.address.of_path(path), headers=dict(headers or {})) as answer:
            self._reached = True
            if not answer.is_success:
                await answer.aread()
                raise refused(answer)
            yield answer

    async def lost(self, error: BaseException, attempt: Attempts) -> None:
        """After a broken connection: wait for the time to try again.

        Raises:
            NoServerError: that would be in vain.
        """
        attempt.losses += 1
        if not self._reached or not await attempt.pause():
            raise NoServerError(self.address.base, str(error) or type(error).__name__) from error


class Attempts:
    """How often and how long something was tried.

    Args:
        patience: seconds after which there is no further time.

    Attributes:
        losses: how many connections broke.
    """

    def __init__(self, patience: float) -> None:
        self.losses = 0
        self._refusals = 0
        self._patience = patience
        self._pause = _FIRST_PAUSE
        self._end: float | None = None

    def refused(self) -> int:
        """How often the server said no, with this time."""
        self._refusals += 1
        return self._refusals

    async def pause(self, seconds: float | None = None) -> bool:
        """Wait before the next time; False, at once, where there is to be none.

        Args:
            seconds: what the server asked for.
        """
        now = asyncio.get_running_loop().time()
        if self._end is None:
            self._end = now + self._patience
        if seconds is None:
            # Not all at the same moment, when many lost the same server.
            seconds = self._pause * random.uniform(0.5, 1.0)
            self._pause = min(2 * self._pause, _LONGEST_PAUSE)
        if now + seconds > self._end:
            return False
        await asyncio.sleep(seconds)
        return True


def refused(answer: httpx.Response) -> RefusedError | WorkflowError:
    """The error that an answer means."""
    try:
        said = answer.json()
    except ValueError:
        said = None
    said = said if isinstance(said, dict) else {}
    problems = problems_of(said.get("problems"))
    code = str(said.get("code", "no_problem"))
    if code == "invalid_workflow" and problems:
        return WorkflowError(problems)
    words = str(said.get("detail") or said.get("title") or f"the server answers {answer.status_code}")
    after = answer.headers.get("retry-after", "")
    retry_after = float(after) if after.isascii() and after.isdigit() else None
    return refusal(answer.status_code, code, words, problems, retry_after)
