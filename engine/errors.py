"""What can go wrong while a workflow runs."""

from __future__ import annotations

import errno
import os
import traceback
from typing import ClassVar, Literal

_HERE = os.path.dirname(__file__) + os.sep


class Cancelled(BaseException):
    """The run was cancelled. Like KeyboardInterrupt no Exception, so that a node's `except Exception` lets it pass."""


class NodeError(Exception):
    """A node failed.

    Attributes:
        node: its id in the workflow.
        type: the name of its node type.
        exception: class of what it raised, such as "ValueError".
        message: what it said, made readable.
        traceback: where it was raised, as text; starts at the node's own code.
    """

    def __init__(self, node: str, type: str, exception: str, message: str, traceback: str = "") -> None:
        self.node = node
        self.type = type
        self.exception = exception
        self.message = message
        self.traceback = traceback
        super().__init__(f"{node} ({type}): {message}")

    @classmethod
    def of(cls, node: str, type: str, cause: BaseException) -> NodeError:
        """The NodeError for an exception that node `node` raised."""
        if isinstance(cause, Elsewhere):
            error = cls(node, type, cause.exception, cause.message, cause.traceback)
            error.__cause__ = cause
            return error
        own = traceback.TracebackException.from_exception(cause)
        # The first frames are the executor's; a person is helped by what the node did.
        while len(own.stack) > 1 and own.stack[0].filename.startswith(_HERE):
            del own.stack[0]
        error = cls(node, type, cause.__class__.__name__, explain(cause), "".join(own.format()))
        error.__cause__ = cause
        return error


class Elsewhere(Exception):  # noqa: N818 (it says where it happened)
    """What went wrong in another process, as data.

    Attributes:
        exception: class of what was raised there, or "WorkerDied", "WorkerHung", "TimeoutError".
        message: what it said, made readable.
        traceback: where, as text; what a process wrote last that died.
    """

    def __init__(self, exception: str, message: str, traceback: str = "") -> None:
        self.exception = exception
        self.message = message
        self.traceback = traceback
        super().__init__(message)


class NodeTimeout(Exception):  # noqa: N818 (as TimeoutError is named)
    """A node took longer than it may, by its declaration or by the document.

    Attributes:
        seconds: how long it may take.
    """

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        super().__init__(f"it took longer than its limit of {seconds:g} seconds")


class InputPathError(ValueError):
    """A path that may not be read or written, because it leaves the folders that are open to the run.

    Attributes:
        code: of the problem that a check makes of it.
    """

    code: ClassVar[Literal["path_outside_root", "bad_value"]] = "path_outside_root"


class NoSuchFileError(InputPathError):
    """A content id in the place of a path, by which the file store has nothing."""

    code = "bad_value"


def named(cause: BaseException) -> str:
    """The class of an exception, wherever it was raised, and what it says."""
    if isinstance(cause, Elsewhere):
        return f"{cause.exception}: {cause.message.removeprefix(f'{cause.exception}: ')}"
    try:
        return f"{cause.__class__.__name__}: {cause}"
    except Exception:
        return cause.__class__.__name__


def explain(cause: BaseException) -> str:
    """An exception in words: what a person can act on, without the class name where the message stands alone."""
    if isinstance(cause, OSError) and cause.errno in (errno.ENOSPC, errno.EDQUOT):
        what = "the disk is full" if cause.errno == errno.ENOSPC else "the disk quota is used up"
        return f"{what}: could not write {cause.filename}" if cause.filename else f"{what}: nothing could be written"
    if isinstance(cause, FileNotFoundError) and cause.filename and cause.strerror:
        return f"no such file or folder: {cause.filename}"
    try:
        text = str(cause).strip()
    except Exception:
        return f"{cause.__class__.__name__}, which cannot be put into words"
    if not text:
        return cause.__class__.__name__
    speaks = isinstance(cause, (ValueError, OSError, RuntimeError, NodeTimeout)) and not isinstance(cause, UnicodeError)
    return text if speaks else f"{cause.__class__.__name__}: {text}"
