"""What can be wrong with a saved workflow, each with the status that an answer over HTTP has."""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar

from weft.graphs.problems import Problem


class DocumentError(Exception):
    """A workflow cannot be given or saved. The message is a sentence for whoever asked, without paths of this machine.

    Attributes:
        status, code: of the answer over HTTP; the codes are those of `weft.server.problems`.
    """

    status: ClassVar[int] = 400
    code: ClassVar[str] = "bad_request"


class BadName(DocumentError):  # noqa: N818 (it says what it is)
    """No name that a workflow may have."""


class NoSuchWorkflow(DocumentError):  # noqa: N818
    """None of this name, or no such version of it."""

    status = 404
    code = "not_found"


class PreconditionRequired(DocumentError):  # noqa: N818
    """It exists, and whoever replaces it has to say which one they saw."""

    status = 428
    code = "version_required"


class Stale(DocumentError):  # noqa: N818
    """It is another by now than the one that was seen.

    Attributes:
        etag: of the present one; None where there is none.
    """

    status = 412
    code = "stale_version"

    def __init__(self, message: str, etag: str | None) -> None:
        self.etag = etag
        super().__init__(message)


class InTheWay(DocumentError):  # noqa: N818
    """Where the file would be there is something else: a link, a folder."""

    status = 409
    code = "conflict"


class TooMany(DocumentError):  # noqa: N818
    """More workflows than are kept."""

    status = 507
    code = "no_space"


class NoRoom(DocumentError):  # noqa: N818
    """The disk is full. What was saved before is as it was."""

    status = 507
    code = "no_space"


class BrokenDocument(DocumentError):  # noqa: N818
    """A saved workflow that somebody edited by hand, and that is none any more.

    Attributes:
        problems: every reason.
    """

    status = 422
    code = "invalid_workflow"

    def __init__(self, name: str, problems: Iterable[Problem]) -> None:
        self.problems = list(problems)
        super().__init__(f"The saved workflow {name!r} cannot be read: {self.problems[0].message}")
