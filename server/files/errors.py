"""What can be wrong with a file, each with the status that an answer over HTTP has."""

from __future__ import annotations

from typing import ClassVar


class FilesError(Exception):
    """A file cannot be accepted or given. The message is a sentence for whoever asked, without paths of this machine.

    Attributes:
        status, code: of the answer over HTTP; the codes are those of `weft.server.problems`.
    """

    status: ClassVar[int] = 422
    code: ClassVar[str] = "invalid_request"


class BadFile(FilesError):  # noqa: N818 (it says what it is)
    """It is damaged, cut off, or asks for more memory than a picture may take."""


class BadSize(FilesError):  # noqa: N818
    """A thumbnail of a size that is not made."""


class NoSuchFile(FilesError):  # noqa: N818
    """No content id, or one by which there is nothing."""

    status = 404
    code = "not_found"


class TooLarge(FilesError):  # noqa: N818
    """More bytes than are accepted."""

    status = 413
    code = "too_large"


class UnknownKind(FilesError):  # noqa: N818
    """No kind of file that is accepted."""

    status = 415
    code = "unsupported_media_type"


class NoSpace(FilesError):  # noqa: N818
    """The disk, or what may be taken of it, is full. Nothing was stored."""

    status = 507
    code = "no_space"
