"""`weft examples`."""

from __future__ import annotations

from typing import Annotated

import typer

from weft.server.cli.report import TracebackOption, reporting


def examples_command(
    name: Annotated[str | None, typer.Argument(metavar="[NAME]", help="Print this example's document.")] = None,
    traceback: TracebackOption = False,
) -> None:
    """List the workflows that come with weft, or print one: weft examples text_to_image > my.json"""
    with reporting(traceback_wanted=traceback):
        from weft.graphs import examples

        if name is not None:
            typer.echo(examples.path(name).read_text("utf-8"), nl=False)
            return
        names = examples.names()
        width = max(map(len, names), default=0)
        for known in names:
            typer.echo(f"{known:<{width}}  {examples.load(known).title}".rstrip())
