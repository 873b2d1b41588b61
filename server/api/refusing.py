"""What the documents refuse, as answers."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from weft.graphs.problems import WorkflowError
from weft.server.documents import errors
from weft.server.problems import ApiError

_CODES: dict[type[errors.DocumentError], str] = {
    errors.BadName: "bad_request",
    errors.NoSuchWorkflow: "not_found",
    errors.PreconditionRequired: "version_required",
    errors.Stale: "stale_version",
    errors.InTheWay: "conflict",
    errors.TooMany: "no_space",
    errors.NoRoom: "no_space",
}


@contextlib.contextmanager
def answered(nothing: str = "nothing was saved") -> Iterator[None]:
    """Answer what the documents refuse.

    Args:
        nothing: what did not happen, for a workflow with errors.
    """
    try:
        yield
    except errors.BrokenDocument as error:
        raise ApiError("invalid_workflow", str(error), problems=error.problems) from None
    except errors.DocumentError as error:
        etag = getattr(error, "etag", None)
        raise ApiError(
            _CODES[type(error)], str(error), headers={} if etag is None else {"ETag": quoted(etag)}
        ) from None
    except WorkflowError as error:
        raise ApiError.of_workflow(error, nothing) from None


def quoted(etag: str) -> str:
    """An entity tag as headers have it; lists and events have it so too, for an If-Match as it is."""
    return f'"{etag}"'
