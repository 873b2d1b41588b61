"""`weft why`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

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

if TYPE_CHECKING:
    from weft.engine import Why


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
        for line in lines(found):
            typer.echo(line)


def lines(found: Why) -> list[str]:
    """The answer in words."""
    first = {
        "cached": "is cached, so it does not run.",
        "changed": "has to run:",
        "gone": "has to run: its result was evicted or cleared.",
        "new": "has to run: as far as is known it never ran before.",
        "always": "runs each time:",
        "unknown": "may have to run: nothing is kept between runs.",
    }[found.state]
    if found.files:
        first = "has to run: its result stands for files that are gone or changed: " + ", ".join(found.files)
    told = [f"{found.node} {first}"]
    if found.state == "cached" and found.causes:
        told.append("When it ran, this was other than before:")
    for cause in found.causes:
        way = f" (through {', '.join(cause.through)})" if cause.through else ""
        told.append(f"  {cause.node}: {cause.change}{way}")
    if found.compared not in (None, found.node):
        told.append(f"This compares it with a result of the node {found.compared}.")
    return told
