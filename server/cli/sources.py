"""What a command is given as a workflow: a file, standard input, or the name of a ready-made example."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from weft.graphs.document import Workflow

STDIN = Path("-")


def read_workflow(file: Path) -> Workflow:
    """The workflow that a command is given.

    A file of that name comes before an example. Raises WorkflowError: there is none, or it has not the form of one.
    """
    from weft.graphs import examples
    from weft.graphs.document import Workflow
    from weft.graphs.problems import Problem, WorkflowError, near

    if file == STDIN:
        return _from_stdin()
    file = file.expanduser()
    name = str(file)
    if file.exists() or file.suffix or file.name != name:
        return Workflow.load(file)
    known = examples.names()
    if name in known:
        return examples.load(name)
    try:
        return Workflow.load(file)
    except WorkflowError as error:
        if any(problem.suggestion for problem in error.problems):
            raise
        message = f"There is neither a file nor an example {name!r}; `weft examples` lists the examples."
        found = Problem(code="bad_document", message=message, given=name, suggestion=near(name, known))
        raise WorkflowError([found]) from None


def _from_stdin() -> Workflow:
    from weft.graphs.document import Workflow
    from weft.graphs.limits import LIMITS
    from weft.graphs.pictures import START, picture_kind

    stream = sys.stdin.buffer
    data = stream.read(START)
    kind = picture_kind(data)
    if kind is None:
        return Workflow.parse(data + stream.read(LIMITS.max_bytes + 1))
    with tempfile.TemporaryDirectory(prefix="weft-") as folder:
        picture = Path(folder) / f"stdin.{kind.lower()}"
        with open(picture, "wb") as file:
            file.write(data)
            while part := stream.read(1 << 20):
                file.write(part)
        return Workflow.load(picture)
