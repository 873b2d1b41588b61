"""Workflows out of what somebody drops on the editor: a picture of Weft's or of another program, or a document."""

from __future__ import annotations

from dataclasses import dataclass

from weft.graphs.document import Workflow
from weft.graphs.jsontext import refuse
from weft.graphs.limits import LIMITS, Limits
from weft.graphs.metadata import from_texts
from weft.graphs.pictures import PictureError, picture_kind, texts_of
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
    kind = picture_kind(data)
    if kind is None:
        return ImportedDocument(read_document(data, limits), ())
    if len(data) > MAX_IMPORT:
        message = f"The picture has {len(data):,} bytes; at most {MAX_IMPORT:,} are read."
        refuse(message, "too_large", given=len(data), expected=MAX_IMPORT)
    if kind not in ("PNG", "JPEG", "WebP"):
        message = f"The picture is of the kind {kind}; workflows are read from PNG, JPEG and WebP files."
        refuse(message, given=kind)
    try:
        texts = texts_of(data, kind, limits)
    except PictureError as error:
        refuse(f"The picture cannot be read: {error}")
    if (text := texts.get("weft_workflow")) is not None:
        return ImportedDocument(read_document(text, limits), ())
    found = from_texts(texts, "The picture")
    return ImportedDocument(found.workflow, found.notes)
