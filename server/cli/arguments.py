"""Arguments and options that several commands have."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from weft.server.cli.complete import complete_file, complete_setting, complete_target

FileArgument = Annotated[
    Path,
    typer.Argument(
        metavar="FILE",
        help="A workflow, an image that weft saved, the name of an example, or - for standard input.",
        autocompletion=complete_file,
    ),
]
SetOption = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="NAME=VALUE",
        help="Set a parameter, or an input as node.input=value; seed=random draws a seed.",
        autocompletion=complete_setting,
    ),
]
TargetOption = Annotated[
    list[str] | None,
    typer.Option(
        "--target", metavar="NODE", help="Make this node, or node.output, alone.", autocompletion=complete_target
    ),
]
OutOption = Annotated[Path, typer.Option(metavar="DIR", help="Folder for what is made.")]
