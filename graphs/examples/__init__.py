"""Workflows that come with weft, by name: `load("text_to_image")`.

Each is one JSON file in this folder, and shows one thing that runs with the bundled model; a test runs all of them.
"""

from __future__ import annotations

from importlib.resources import as_file, files
from pathlib import Path

from weft.graphs.document import Workflow
from weft.graphs.problems import Problem, WorkflowError, near, shown


def names() -> list[str]:
    """The names of all examples, sorted."""
    return sorted(
        entry.name.removesuffix(".json") for entry in files(__package__).iterdir() if entry.name.endswith(".json")
    )


def path(name: str) -> Path:
    """The file of an example.

    Raises:
        WorkflowError: there is no such example; names the nearest.
    """
    known = names()
    if name not in known:
        message = f"There is no example {shown(name)}; there are {', '.join(known)}."
        raise WorkflowError([Problem(code="bad_document", message=message, given=name, suggestion=near(name, known))])
    with as_file(files(__package__) / f"{name}.json") as file:
        return file  # packages are installed unpacked, so the file stays where it is


def picture(name: str) -> Path | None:
    """The file of a small picture of what an example makes, WebP of at most 256 x 256 pixels; None: it has none.

    Raises WorkflowError as `path` does.
    """
    file = path(name).parent / "pictures" / f"{name}.webp"
    return file if file.is_file() else None


def load(name: str) -> Workflow:
    """An example as a workflow. Raises WorkflowError as `path` does."""
    return Workflow.load(path(name))
