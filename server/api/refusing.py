"""What the documents and the file store refuse, as answers."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from weft.graphs.problems import WorkflowError
from weft.server.documents.errors import DocumentError
from weft.server.files.errors import FilesError
from weft.server.files.remote import StoreFails
from weft.server.problems import ApiError


@contextlib.contextmanager
def answered(nothing: str = "nothing was saved") -> Iterator[None]:
    """Answer what these refuse.

    Args:
        nothing: what did not happen, for a workflow with errors.
    """
    try:
        yield
    except DocumentError as error:
        etag = getattr(error, "etag", None)
        headers = {} if etag is None else {"ETag": quoted(etag)}
        problems = getattr(error, "problems", ())
        raise ApiError(error.code, str(error), problems=problems, headers=headers) from None
    except StoreFails as error:
        title = "The store of files cannot be used now"
        raise ApiError(error.code, str(error), title=title, status=error.status, retry_after=5) from None
    except FilesError as error:
        raise ApiError(error.code, str(error)) from None
    except WorkflowError as error:
        raise ApiError.of_workflow(error, nothing) from None


def quoted(etag: str) -> str:
    """An entity tag as headers have it; lists and events have it so too, for an If-Match as it is."""
    return f'"{etag}"'
