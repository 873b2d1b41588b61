"""What `run` and `check` accept for a workflow."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from weft.graphs.document import Workflow

Source = Any
"""A path, a document as JSON data, a Workflow or a Graph."""


def read_source(source: Source) -> Workflow:
    """The Workflow that `source` stands for.

    Raises:
        WorkflowError: it cannot be read.
        TypeError: it is something else.
    """
    if isinstance(source, Workflow):
        return source
    if isinstance(source, (str, os.PathLike)):
        return Workflow.load(source)
    if isinstance(source, (Mapping, bytes)):
        return Workflow.parse(source)
    recorded = getattr(source, "workflow", None)
    if callable(recorded) and isinstance(workflow := recorded(), Workflow):
        return workflow
    raise TypeError(f"a workflow is a path, a dict, a Workflow or a Graph, not {type(source).__name__}")
