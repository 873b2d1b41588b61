"""`weft draw`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from weft.server.cli.arguments import FileArgument
from weft.server.cli.report import NodesOption, TracebackOption, load_catalogue, reporting


def draw_command(
    file: FileArgument,
    output: Annotated[
        Path | None, typer.Option("-o", "--output", metavar="x.svg|png", help="Where to; SVG on stdout if not given.")
    ] = None,
    run: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Show how a run went, with its values: what `weft run --events FILE` wrote."),
    ] = None,
    nodes: NodesOption = None,
    traceback: TracebackOption = False,
) -> None:
    """Draw a workflow, also one that cannot run, or a run of it: seconds, cached, failed."""
    if output is not None and output.suffix.lower() not in (".svg", ".png"):
        raise typer.BadParameter(f"{output} ends neither in .svg nor in .png", param_hint="-o")
    with reporting(traceback_wanted=traceback):
        from weft.engine.catalogue.shapes import shapes
        from weft.graphs.draw import draw, draw_png
        from weft.graphs.files import write_atomic
        from weft.server.cli.record import Record
        from weft.server.cli.sources import read_workflow

        describe = shapes(load_catalogue(nodes))
        workflow = read_workflow(file)
        marks, caption = None, ""
        if run is not None:
            try:
                record = Record.load(run)
            except (OSError, ValueError) as error:
                raise typer.BadParameter(f"{run} holds no events of a run: {error}", param_hint="--run") from None
            try:
                workflow = record.ran(workflow)
            except ValueError as error:
                raise typer.BadParameter(
                    f"The events in {run} do not fit {file}: {error}.", param_hint="--run"
                ) from None
            marks, caption = record.marks(workflow), f"This run {record.end}."
        if output is None:
            typer.echo(draw(workflow, describe, marks=marks, caption=caption))
            return
        if output.suffix.lower() == ".png":
            write_atomic(output, draw_png(workflow, describe, marks=marks, caption=caption))
        else:
            write_atomic(output, draw(workflow, describe, marks=marks, caption=caption).encode())
        typer.echo(output)
