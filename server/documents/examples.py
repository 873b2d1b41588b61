"""The workflows that come with Weft, as the interface tells of them."""

from __future__ import annotations

import functools
from dataclasses import dataclass

from weft.graphs import examples
from weft.graphs.problems import WorkflowError
from weft.server.documents.errors import NoSuchWorkflow


@dataclass(frozen=True, slots=True)
class Example:
    """One of them. `image` is where a picture of it is to be had; None: pictures are not installed with Weft."""

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
        found.append(Example(name, workflow.title, description if isinstance(description, str) else ""))
    return tuple(found)


def example(name: str) -> bytes:
    """The text of an example's document. Raises NoSuchWorkflow."""
    if name not in {example.name for example in all_examples()}:
        try:
            examples.path(name)
        except WorkflowError as error:
            hint = error.problems[0].suggestion
            raise NoSuchWorkflow("There is no such example." + (f" Did you mean {hint!r}?" if hint else "")) from None
    return examples.path(name).read_bytes()
