"""How the server says no: every refusal is one `application/problem+json` (RFC 9457) with all its problems at once.

What is wrong with a workflow is said by `weft.graphs.problems`; a field of a request is described in the same form.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from weft.graphs.problems import Problem, WorkflowError

if TYPE_CHECKING:
    from starlette.types import Message

    from weft.server.scrub import Scrubber

MEDIA_TYPE = "application/problem+json"
TITLES: Mapping[str, tuple[int, str]] = {
    "bad_json": (400, "The body is not JSON"),
    "bad_request": (400, "The request is malformed"),
    "no_token": (401, "A token is needed"),
    "foreign_origin": (403, "The request comes from a foreign page"),
    "not_found": (404, "There is no such thing"),
    "method_not_allowed": (405, "The method is not allowed here"),
    "slow_body": (408, "The body did not arrive in time"),
    "conflict": (409, "The request conflicts with what is there"),
    "stale_version": (412, "The version is not the current one"),
    "too_large": (413, "The body is too large"),
    "long_path": (414, "The address is too long"),
    "unsupported_media_type": (415, "The body's media type is not accepted"),
    "foreign_host": (421, "The server is not known by this name"),
    "invalid_request": (422, "Fields of the request are wrong"),
    "invalid_workflow": (422, "The workflow has errors"),
    "version_required": (428, "The version that is replaced must be named"),
    "queue_full": (429, "Too many jobs wait"),
    "large_headers": (431, "The headers are too large"),
    "internal_error": (500, "Something went wrong in the server"),
    "draining": (503, "The server is stopping"),
    "no_space": (507, "There is no space left"),
}
"""Every code with its status and its title. Programs branch on the codes; they stay."""
_BY_STATUS = {status: code for code, (status, _) in reversed(list(TITLES.items()))} | {400: "bad_request"}


class ApiError(HTTPException):
    """A refusal; raise it anywhere below the application.

    Args:
        code: one of `TITLES`, which also says the status and the title.
        detail: full sentences for a person: what was given, what is expected.
        problems: each thing that is wrong, for forms and editors.
        headers: of the answer.
        retry_after: seconds after which it may go better.
        title, status: in place of what the code says.
    """

    def __init__(
        self,
        code: str,
        detail: str = "",
        *,
        problems: Iterable[Problem] = (),
        headers: Mapping[str, str] | None = None,
        retry_after: float | None = None,
        title: str = "",
        status: int = 0,
    ) -> None:
        known = TITLES.get(code, (status, title))
        self.code = code
        self.title = title or known[1]
        self.problems = list(problems)
        sent = dict(headers or {})
        if retry_after is not None:
            sent["Retry-After"] = str(max(1, math.ceil(retry_after)))
        if code == "no_token":
            sent.setdefault("WWW-Authenticate", 'Bearer realm="weft"')
        super().__init__(status or known[0], detail or f"{self.title}.", sent)

    @classmethod
    def of_status(cls, status: int, detail: str = "", headers: Mapping[str, str] | None = None) -> ApiError:
        """For a bare status, as frameworks raise it."""
        code = _BY_STATUS.get(status, "internal_error" if status >= 500 else "bad_request")
        own = TITLES[code][0] == status
        return cls(code, detail, headers=headers, status=status, title="" if own else f"Refused with status {status}")

    @classmethod
    def of_workflow(cls, error: WorkflowError, nothing: str = "nothing was queued") -> ApiError:
        """For a workflow with errors: all of them, and what did not happen therefore."""
        count = len(error.problems)
        says = "one problem" if count == 1 else f"{count} problems"
        return cls("invalid_workflow", f"The workflow has {says}; {nothing}.", problems=error.problems)

    @classmethod
    def of_json(cls, error: WorkflowError) -> ApiError:
        """For a body that `read_json` refused: where it is not JSON, or that it is too large."""
        first = error.problems[0]
        code = "too_large" if first.code == "too_large" else "bad_json"
        return cls(code, first.message, problems=error.problems)


def client_went(error: BaseException) -> bool:
    """Whether an exception says no more than that the client has gone.

    Starlette takes every OSError while an answer is streamed for that, a broken disk of ours included.
    """
    cause = error.__context__
    ours = isinstance(cause, OSError) and cause.errno is not None and not isinstance(cause, ConnectionError)
    return isinstance(error, ClientDisconnect) and not ours


def body_of(error: ApiError, scrub: Scrubber, **more: Any) -> bytes:
    """The answer's body. Words are scrubbed; `given` is what the client said and only loses secrets.

    Args:
        more: further members, such as the id of the request.
    """
    data = {
        "type": f"/problems/{error.code}",
        "title": error.title,
        "status": error.status_code,
        "detail": scrub(str(error.detail)),
        "code": error.code,
        # As JSON text and back: a value such as NaN has a form in it.
        "problems": [told(json.loads(problem.model_dump_json()), scrub) for problem in error.problems],
        **more,
    }
    return json.dumps(data, ensure_ascii=True, allow_nan=False, default=str).encode()


def told(problem: Mapping[str, Any], scrub: Scrubber) -> dict[str, Any]:
    """A problem as clients are told of it: `given` is what they said themselves and only loses secrets."""
    data = dict(problem)
    for name in ("message", "expected", "suggestion"):
        if name in data:
            data[name] = scrub.data(data[name])
    if "given" in data:
        data["given"] = scrub.secret_data(data["given"])
    return data


def messages_of(error: ApiError, scrub: Scrubber, **more: Any) -> tuple[Message, Message]:
    """The answer as the two messages of ASGI, for code that stands before any framework."""
    body = body_of(error, scrub, **more)
    headers = [(b"content-type", MEDIA_TYPE.encode()), (b"content-length", str(len(body)).encode())]
    headers += [(name.lower().encode(), value.encode("latin-1")) for name, value in (error.headers or {}).items()]
    return (
        {"type": "http.response.start", "status": error.status_code, "headers": headers},
        {"type": "http.response.body", "body": body},
    )
