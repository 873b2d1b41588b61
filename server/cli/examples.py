"""`weft examples`."""

from __future__ import annotations

from typing import Annotated

import typer

from weft.server.cli.complete import complete_example
from weft.server.cli.report import TracebackOption, reporting


def examples_command(
    name: Annotated[
        str | None,
        typer.Argument(metavar="[NAME]", help="Print this example's document.", autocompletion=complete_example),
    ] = None,
    traceback: TracebackOption = False,
) -> None:
    """List the workflows that come with weft, or print one: weft examples text_to_image > my.json

    Every command that takes a workflow takes such a name too: weft run text_to_image
    """
    with reporting(traceback_wanted=traceback):
        from weft.graphs import examples

        if name is not None:
            typer.echo(examples.path(name).read_text("utf-8"), nl=False)
            return
        names = examples.names()
        width = max(map(len, names), default=0)
        for known in names:
            typer.echo(f"{known:<{width}}  {examples.load(known).title}".rstrip())
