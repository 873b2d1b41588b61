"""The workflows that come with Weft, as the interface tells of them."""

from __future__ import annotations

import functools
from dataclasses import dataclass

from weft.graphs import examples
from weft.graphs.problems import WorkflowError
from weft.server.documents.errors import NoSuchWorkflow


@dataclass(frozen=True, slots=True)
class Example:
    """One of them. `image` is where a small picture of it is to be had; None: it has none."""

    name: str
    title: str
    description: str
    image: str | None = None


@functools.cache
def all_examples() -> tuple[Example, ...]:
    """Every example by name; they are read once."""
    found = []
    for name in examples.names():
        workflow = examples.load(name)
        description = workflow.meta.get("description", "")
        image = f"/api/v1/examples/{name}/image" if examples.picture(name) is not None else None
        found.append(Example(name, workflow.title, description if isinstance(description, str) else "", image))
    return tuple(found)


def example(name: str) -> bytes:
    """The text of an example's document. Raises NoSuchWorkflow."""
    _known(name)
    return examples.path(name).read_bytes()


def example_image(name: str) -> bytes:
    """A small picture of what an example makes, as WebP. Raises NoSuchWorkflow: no such example, or no picture."""
    _known(name)
    file = examples.picture(name)
    if file is None:
        raise NoSuchWorkflow("There is no picture of this example.")
    return file.read_bytes()


def _known(name: str) -> None:
    if name in {example.name for example in all_examples()}:
        return
    try:
        examples.path(name)
    except WorkflowError as error:
        hint = error.problems[0].suggestion
        raise NoSuchWorkflow("There is no such example." + (f" Did you mean {hint!r}?" if hint else "")) from None
