"""How errors reach a person: on stderr, without a traceback unless asked for, and as exit codes."""

from __future__ import annotations

import contextlib
import json
import os
import sys
import traceback
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer

if TYPE_CHECKING:
    from weft.engine import Catalogue, NodeError, Problem

DONE, FAILED, WRONG, INTERRUPTED = 0, 1, 2, 130

NodesOption = Annotated[
    list[str] | None, typer.Option("--nodes", metavar="DIR", help="Also use the nodes in this folder's .py files.")
]
ModelsOption = Annotated[
    list[str] | None,
    typer.Option(
        "--models", metavar="DIR", help="Find models by name in this folder; instead of those that WEFT_MODELS names."
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON.")]
TracebackOption = Annotated[bool, typer.Option("--traceback", help="Show where in the code an error was raised.")]


def say(text: str, colour: str | None = None, *, bold: bool = False) -> None:
    """A line on stderr; coloured where that is a terminal."""
    typer.secho(text, err=True, fg=colour, bold=bold)


def print_json(data: Any, indent: int | None = None) -> None:
    """JSON on stdout: one line, or indented."""
    typer.echo(json.dumps(data, ensure_ascii=False, indent=indent))


def leave(code: int) -> NoReturn:
    """End the command with an exit code."""
    raise typer.Exit(code)


def load_catalogue(folders: Iterable[str] | None) -> Catalogue:
    """The installed nodes and those of `--nodes`; packs that failed are named on stderr."""
    from weft.engine import Catalogue

    catalogue = Catalogue.load(folders or ())
    for failure in catalogue.failures:
        say(f"left out {failure}", "yellow")
    return catalogue


def say_drawn(seeds: Mapping[str, int]) -> None:
    """The seeds that were drawn, on stderr, as they are set again."""
    for name, seed in seeds.items():
        say(f"--set {name}={seed} was drawn")


@contextlib.contextmanager
def model_folders_of(folders: list[str] | None) -> Iterator[tuple[Path, ...]]:
    """The model folders of `--models` or `WEFT_MODELS` while the block runs; one that is not there ends the command."""
    from weft.engine.declaring.model_folders import model_folders, using_model_folders

    with contextlib.ExitStack() as stack:
        try:
            stack.enter_context(using_model_folders(folders))
        except ValueError as error:
            say(f"error: {error}", "red")
            leave(WRONG)
        yield model_folders()


def problem_lines(problems: Iterable[Problem], file: str = "") -> Iterator[tuple[str, str]]:
    """Each problem as (text, colour)."""
    prefix = f"{file}: " if file else ""
    for problem in problems:
        yield prefix + str(problem), "red" if problem.severity == "error" else "yellow"


@contextlib.contextmanager
def reporting(*, as_json: bool = False, traceback_wanted: bool = False) -> Iterator[None]:
    """Turn what a command raises into words and an exit code."""
    from weft.engine.catalogue.catalogue import CatalogueError
    from weft.engine.errors import Cancelled, explain
    from weft.engine.running.result import RunFailed
    from weft.graphs.problems import WorkflowError

    try:
        yield
    except (typer.Exit, typer.Abort, typer.BadParameter):
        raise
    except WorkflowError as error:
        for text, colour in problem_lines(error.problems):
            say(text, colour)
        if as_json:
            print_json({"problems": [problem.model_dump(mode="json") for problem in error.problems]})
        leave(WRONG)
    except CatalogueError as error:
        say(f"error: {error}", "red")
        leave(WRONG)
    except RunFailed as error:
        for failure in error.errors:
            say_failure(failure, traceback_wanted)
        if as_json:
            print_json({"error": failure_data(error.error)})
        leave(FAILED)
    except (Cancelled, KeyboardInterrupt):
        say("interrupted; what was finished is kept", "yellow")
        leave(INTERRUPTED)
    except BrokenPipeError:
        # Whoever read our results has seen enough. Python would complain once more when it flushes stdout at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        leave(FAILED)
    except Exception as error:
        if traceback_wanted:
            traceback.print_exc()
        hint = "" if traceback_wanted or isinstance(error, OSError) else " (--traceback shows where)"
        name = "" if isinstance(error, OSError) else f"{error.__class__.__name__}: "
        say(f"error: {name}{explain(error)}{hint}", "red")
        leave(FAILED)


def say_failure(failure: NodeError, traceback_wanted: bool) -> None:
    """A failed node: which, and why."""
    say(f"error: the node {failure.node!r} ({failure.type}) failed: {failure.message}", "red", bold=True)
    if traceback_wanted:
        say(failure.traceback.rstrip())
    else:
        say("  --traceback shows where; what was finished before is kept for the next run")


def item_words(item: Sequence[int]) -> str:
    """Which item of a part that runs per item, counted from 1 as people do: `3`, or `2.5` where there are two axes."""
    return ".".join(str(position + 1) for position in item)


def failure_data(failure: NodeError) -> dict[str, str]:
    """A failed node as JSON data."""
    return {
        "node": failure.node,
        "type": failure.type,
        "exception": failure.exception,
        "message": failure.message,
        "traceback": failure.traceback,
    }
