"""`weft check`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from weft.server.cli.report import (
    WRONG,
    JsonOption,
    ModelsOption,
    NodesOption,
    TracebackOption,
    leave,
    load_catalogue,
    model_folders_of,
    print_json,
    problem_lines,
    reporting,
)


def check_command(
    files: Annotated[list[Path], typer.Argument(metavar="FILE...", help="Workflows, or images that weft saved.")],
    as_json: JsonOption = False,
    nodes: NodesOption = None,
    models: ModelsOption = None,
    traceback: TracebackOption = False,
) -> None:
    """Say everything that is wrong with workflows, without running them."""
    with reporting(traceback_wanted=traceback), model_folders_of(models):
        from weft.engine import check

        catalogue = load_catalogue(nodes)
        wrong = False
        for file in files:
            problems = check(file, catalogue)
            wrong = wrong or any(problem.severity == "error" for problem in problems)
            if as_json:
                data = [problem.model_dump(mode="json") for problem in problems]
                print_json({"file": str(file), "problems": data})
                continue
            for text, colour in problem_lines(problems, str(file)):
                typer.secho(text, fg=colour)
            if not problems:
                typer.echo(f"{file}: ok")
        if wrong:
            leave(WRONG)
