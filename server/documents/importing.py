"""Workflows out of what somebody drops on the editor: a picture of Weft's or of another program, or a document."""

from __future__ import annotations

from dataclasses import dataclass

from weft.graphs.document import Workflow
from weft.graphs.limits import LIMITS, Limits
from weft.graphs.metadata import from_picture_bytes
from weft.graphs.png import SIGNATURE, PngError, extract
from weft.graphs.problems import Problem, WorkflowError
from weft.graphs.reader import picture_kind
from weft.server.documents.reading import read_document

MAX_IMPORT = 32 << 20
"""Bytes of a picture; a document has its own limit, which is lower."""


@dataclass(frozen=True, slots=True)
class ImportedDocument:
    """A workflow, and what was not understood or has to be done by hand, a sentence each."""

    workflow: Workflow
    notes: tuple[str, ...]


def import_document(data: bytes, limits: Limits = LIMITS) -> ImportedDocument:
    """The workflow in a PNG, JPEG or WebP file, or in a document.

    Raises:
        WorkflowError: it holds none, is damaged or beyond a limit (`too_large`); with every reason.
    """
    kind = "PNG" if data.startswith(SIGNATURE) else picture_kind(data)
    if kind is None:
        return ImportedDocument(read_document(data, limits), ())
    if len(data) > MAX_IMPORT:
        message = f"The picture has {len(data):,} bytes; at most {MAX_IMPORT:,} are read."
        raise WorkflowError([Problem(code="too_large", message=message, given=len(data), expected=MAX_IMPORT)])
    if kind not in ("PNG", "JPEG", "WebP"):
        message = f"The picture is of the kind {kind}; workflows are read from PNG, JPEG and WebP files."
        raise WorkflowError([Problem(code="bad_document", message=message, given=kind)])
    if kind == "PNG" and (text := _own_text(data, limits)) is not None:
        return ImportedDocument(read_document(text, limits), ())
    found = from_picture_bytes(data, limits)
    return ImportedDocument(found.workflow, found.notes)


def _own_text(data: bytes, limits: Limits) -> str | None:
    """The document in a picture that Weft saved."""
    try:
        return extract(data, limits).get("weft_workflow")
    except PngError as error:
        raise WorkflowError([Problem(code="bad_document", message=f"The picture cannot be read: {error}")]) from None
