"""`weft check`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from weft.server.cli.arguments import SetOption, TargetOption
from weft.server.cli.complete import complete_file
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

if TYPE_CHECKING:
    from weft.engine import Catalogue, Problem


def check_command(
    files: Annotated[
        list[Path],
        typer.Argument(
            metavar="FILE...",
            help="Workflows, images that weft saved, names of examples, or - for standard input.",
            autocompletion=complete_file,
        ),
    ],
    settings: SetOption = None,
    targets: TargetOption = None,
    as_json: JsonOption = False,
    nodes: NodesOption = None,
    models: ModelsOption = None,
    traceback: TracebackOption = False,
) -> None:
    """Say everything that is wrong with workflows, without running them."""
    with reporting(traceback_wanted=traceback), model_folders_of(models):
        catalogue = load_catalogue(nodes)
        wrong = False
        for file in files:
            problems = problems_of(file, settings, targets, catalogue)
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


def problems_of(
    file: Path, settings: list[str] | None, targets: list[str] | None, catalogue: Catalogue
) -> list[Problem]:
    """What is wrong with one workflow as it would be run: with `--set`, and for `--target` alone if that is given."""
    from weft.engine import check
    from weft.engine.running.sound import sound_part
    from weft.graphs.problems import WorkflowError
    from weft.server.cli.opening import open_workflow

    try:
        workflow, _ = open_workflow(file, settings, catalogue)
    except WorkflowError as error:
        return error.problems
    problems = check(workflow, catalogue, targets=targets)
    if targets is not None and any(problem.severity == "error" for problem in problems):
        # A run of these targets leaves out what is wrong elsewhere in the document.
        sound = sound_part(workflow, problems, targets)
        if sound is not None and not sound.broken:
            return check(sound.document, catalogue, targets=sound.targets)
    return problems
