"""What a shell may offer at the press of Tab: examples, parameters, nodes. Whatever goes wrong, it offers nothing."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from weft.server.cli.sources import STDIN, read_workflow

if TYPE_CHECKING:
    from weft.graphs.document import Workflow


def complete_file(incomplete: str) -> list[str]:
    """Names of examples; files are offered by the shell where none of these fits."""
    from weft.graphs import examples

    return [name for name in examples.names() if incomplete and name.startswith(incomplete)]


def complete_example(incomplete: str) -> list[str]:
    """Names of examples."""
    from weft.graphs import examples

    return [name for name in examples.names() if name.startswith(incomplete)]


def complete_setting(ctx: typer.Context, incomplete: str) -> list[str]:
    """`NAME=` for the parameters of the workflow, and `node.input=` for what its nodes say."""
    found = []
    for workflow in _named_workflow(ctx):
        inputs = (f"{id}.{name}" for id, spec in workflow.nodes.items() for name in spec.inputs)
        found = [f"{name}=" for name in (*workflow.parameters, *inputs) if name.startswith(incomplete)]
    return found


def complete_target(ctx: typer.Context, incomplete: str) -> list[str]:
    """Ids of the workflow's nodes."""
    return [id for workflow in _named_workflow(ctx) for id in workflow.nodes if id.startswith(incomplete)]


def complete_node(incomplete: str) -> list[str]:
    """Names of installed nodes."""
    with contextlib.suppress(Exception):
        from weft.engine import Catalogue

        return [node_type.name for node_type in Catalogue.load(()) if node_type.name.startswith(incomplete)]
    return []


def _named_workflow(ctx: typer.Context) -> Iterator[Workflow]:
    """The workflow that was named on the line, if it can be read. Standard input is not: the shell has it."""
    # An option that still waits for its value keeps click from telling apart what stands before it.
    given = ctx.params.get("file") or ctx.params.get("files") or ctx.args
    for file in given if isinstance(given, (list, tuple)) else [given]:
        if file and Path(file) != STDIN:
            workflow = None
            with contextlib.suppress(Exception):
                workflow = read_workflow(Path(file))
            if workflow is not None:
                yield workflow
            return
