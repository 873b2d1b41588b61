"""`weft why`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from weft.server.cli.arguments import FileArgument, OutOption, SetOption
from weft.server.cli.complete import complete_target
from weft.server.cli.report import (
    JsonOption,
    ModelsOption,
    NodesOption,
    TracebackOption,
    load_catalogue,
    model_folders_of,
    print_json,
    reporting,
    say_drawn,
)


def why_command(
    file: FileArgument,
    node: Annotated[
        str, typer.Argument(metavar="NODE", help="The id of a node in it.", autocompletion=complete_target)
    ],
    settings: SetOption = None,
    out: OutOption = Path("out"),
    as_json: JsonOption = False,
    nodes: NodesOption = None,
    models: ModelsOption = None,
    traceback: TracebackOption = False,
) -> None:
    """Say what made a node run again, compared with its nearest earlier result. Nothing runs."""
    with reporting(as_json=as_json, traceback_wanted=traceback), model_folders_of(models):
        from weft.engine import why
        from weft.server.cli.opening import open_workflow

        catalogue = load_catalogue(nodes)
        workflow, drawn = open_workflow(file, settings, catalogue)
        say_drawn(drawn)
        found = why(workflow, node, catalogue=catalogue, out=out)
        if as_json:
            print_json(found.to_dict())
            return
        typer.echo(found.text)
