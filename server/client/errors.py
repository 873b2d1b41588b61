"""How a call of a server fails. A workflow with errors is a `WorkflowError`, as in a run on this machine."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from weft.graphs.problems import Problem

if TYPE_CHECKING:
    from weft.server.client.records import Job


class ServerError(Exception):
    """Something that was asked of a server did not come about."""


class NoServerError(ServerError):
    """Nobody answers at the address, or not any more.

    Attributes:
        address: the one that was tried.
    """

    def __init__(self, address: str, why: str) -> None:
        self.address = address
        super().__init__(
            f"no server answers at {address} ({why}); `weft serve` starts one, and another address is given "
            "with --server or WEFT_SERVER"
        )


class RefusedError(ServerError):
    """The server says no.

    Attributes:
        status: of the answer.
        code: the stable name of the reason, such as "queue_full".
        problems: each thing that is wrong.
        retry_after: seconds after which it may go better; None where it was not said.
    """

    def __init__(
        self,
        status: int,
        code: str,
        words: str,
        problems: Sequence[Problem] = (),
        retry_after: float | None = None,
    ) -> None:
        self.status = status
        self.code = code
        self.problems = list(problems)
        self.retry_after = retry_after
        super().__init__("\n".join([f"{words} [{code}]", *map(str, problems)]))


class TokenNeededError(RefusedError):
    """The server wants a token, and there was none or another one (401)."""


class NotFoundError(RefusedError):
    """The server has nothing of that name (404)."""


class ConflictError(RefusedError):
    """It does not fit what is there: a job that has ended, a key that was used for something else (409), a saved
    workflow that somebody else saved meanwhile (412, 428)."""


class BusyError(RefusedError):
    """Too many jobs wait, or the server is stopping (429, 503); `retry_after` says when to come again."""


class JobFailedError(ServerError):
    """The job failed.

    Attributes:
        job: with its `error`.
    """

    def __init__(self, job: Job) -> None:
        self.job = job
        error = job.error or {}
        where = f" at the node {error['node']!r} ({error.get('type')})" if error.get("node") else ""
        super().__init__(f"the job {job.id} failed{where}: {error.get('message', 'no reason was told')}")


class JobCancelledError(ServerError):
    """The job was cancelled. `.job` is the job."""

    def __init__(self, job: Job) -> None:
        self.job = job
        super().__init__(f"the job {job.id} was cancelled")


_BY_STATUS: dict[int, type[RefusedError]] = {
    401: TokenNeededError,
    404: NotFoundError,
    409: ConflictError,
    412: ConflictError,
    428: ConflictError,
    429: BusyError,
    503: BusyError,
}


def refusal(
    status: int, code: str, words: str, problems: Sequence[Problem] = (), retry_after: float | None = None
) -> RefusedError:
    """The refusal of an answer, by its status."""
    return _BY_STATUS.get(status, RefusedError)(status, code, words, problems, retry_after)
