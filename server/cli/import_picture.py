"""`weft import`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from weft.server.cli.report import TracebackOption, reporting, say


def import_command(
    picture: Annotated[
        Path,
        typer.Argument(
            metavar="PICTURE", help="A PNG, JPEG or WebP file of AUTOMATIC1111's web UI, or a PNG of InvokeAI."
        ),
    ],
    output: Annotated[
        Path | None, typer.Option("-o", "--output", metavar="x.json", help="Where to; on stdout if not given.")
    ] = None,
    traceback: TracebackOption = False,
) -> None:
    """Make a workflow of another program's picture, and say on stderr what was not understood."""
    with reporting(traceback_wanted=traceback):
        from weft.graphs.files import write_atomic
        from weft.graphs.metadata import from_picture

        found = from_picture(picture)
        if output is None:
            typer.echo(found.workflow.to_json(), nl=False)
        else:
            write_atomic(output, found.workflow.to_json().encode())
            typer.echo(output)
        say(f"metadata of {found.program}:")
        for note in found.notes:
            say(f"  {note}")
