"""What is sent: a workflow as JSON data, and files."""

from __future__ import annotations

import io
import os
import secrets
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from weft.graphs.builder import Graph
from weft.graphs.document import Workflow
from weft.server.client.records import UploadedFile

Source = str | os.PathLike[str] | Mapping[str, Any] | Workflow | Graph
"""A workflow: the path of a document or of a picture that weft saved, a document as JSON data, or one made in code."""
Settings = Mapping[str, Any] | Sequence[str]
"""Values by parameter or `node.input`, or texts `NAME=VALUE`, which the server reads as what the input takes."""


def settings_of(said: Settings | None) -> dict[str, Any] | list[str]:
    """What is to be set, as JSON data."""
    if said is None or isinstance(said, Mapping):
        return dict(said or {})
    return [said] if isinstance(said, str) else list(said)


def keyed(key: str | None) -> dict[str, str]:
    """The header by which a call that is made twice does one thing; a key of its own where there is None."""
    return {"Idempotency-Key": secrets.token_hex(16) if key is None else key}


def document_of(workflow: Source) -> tuple[dict[str, Any], Path]:
    """A workflow as JSON data, and the folder in which its relative paths begin.

    JSON data are sent as they are: the server says what is wrong with them.

    Raises:
        WorkflowError: a file is none, or cannot be read.
    """
    if isinstance(workflow, Mapping):
        return dict(workflow), Path()
    if isinstance(workflow, Graph):
        return workflow.workflow().to_dict(), Path()
    if isinstance(workflow, Workflow):
        return workflow.to_dict(), Path()
    path = Path(workflow).expanduser()
    return Workflow.load(path).to_dict(), path.parent


def bytes_of(file: str | os.PathLike[str] | bytes | Any) -> bytes:
    """The bytes of a file, or of an image of PIL as PNG.

    Raises:
        TypeError: it is neither.
    """
    if isinstance(file, (bytes, bytearray, memoryview)):
        return bytes(file)
    if isinstance(file, (str, os.PathLike)):
        return Path(file).expanduser().read_bytes()
    if not callable(getattr(file, "save", None)):
        raise TypeError(f"a path, bytes or an image of PIL can be sent, not {type(file).__name__}")
    written = io.BytesIO()
    file.save(written, format="PNG")
    return written.getvalue()


async def with_uploads(
    document: Mapping[str, Any],
    folder: Path,
    nodes: Sequence[Mapping[str, Any]],
    upload: Callable[[Path], Awaitable[UploadedFile]],
) -> dict[str, Any]:
    """A copy of a document in which files of this machine are named by what the server calls them.

    Inputs whose editor picks a file are looked at; what is no file here stays, since the server may have it.

    Args:
        folder: where relative paths begin when they do not lead anywhere from the working folder.
        nodes: the server's.
    """
    pickers = {
        (node["name"], port["name"])
        for node in nodes
        for port in node["inputs"]
        if port.get("widget", {}).get("kind") == "file"
    }
    sent: dict[Path, str] = {}

    async def named(value: Any) -> Any:
        path = _local_file(value, folder)
        if path is None:
            return value
        if path not in sent:
            sent[path] = (await upload(path)).file
        return sent[path]

    changed = Workflow.parse(document).to_dict()
    for spec in _specs(changed):
        inputs = spec.get("inputs", {})
        for name, value in inputs.items():
            if (spec["type"], name) in pickers:
                inputs[name] = [await named(item) for item in value] if isinstance(value, list) else await named(value)
    return changed


def _specs(document: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    for graph in (document, *document.get("definitions", {}).values()):
        yield from graph.get("nodes", {}).values()


def _local_file(value: Any, folder: Path) -> Path | None:
    if not isinstance(value, str) or not value or value.startswith("sha256:") or "\0" in value:
        return None
    try:
        path = Path(value).expanduser()
        return next((found for found in (path, folder / path) if found.is_file()), None)
    except (OSError, RuntimeError, ValueError):  # a name that is too long; no such user
        return None
