"""`weft run`."""

from __future__ import annotations

import contextlib
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from weft.server.cli.plan import OutOption, SetOption, TargetOption
from weft.server.cli.report import (
    JsonOption,
    ModelsOption,
    NodesOption,
    TracebackOption,
    load_catalogue,
    model_folders_of,
    print_json,
    reporting,
    say,
)

if TYPE_CHECKING:
    from weft.engine import CancelToken, Result


def run_command(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A workflow, or an image that weft saved.")],
    settings: SetOption = None,
    targets: TargetOption = None,
    out: OutOption = Path("out"),
    no_cache: Annotated[bool, typer.Option("--no-cache", help="Use and keep no results of other runs.")] = False,
    as_json: JsonOption = False,
    events: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write the run's events there, a JSON object a line.")
    ] = None,
    profile: Annotated[bool, typer.Option("--profile", help="Say in the end where time went.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress.")] = False,
    nodes: NodesOption = None,
    models: ModelsOption = None,
    traceback: TracebackOption = False,
) -> None:
    """Run a workflow and print the paths of what it made."""
    with reporting(as_json=as_json, traceback_wanted=traceback), model_folders_of(models):
        from weft.engine import Cache, CancelToken, Settings, run, with_settings
        from weft.graphs.document import Workflow
        from weft.server.cli.progress import showing_progress
        from weft.server.cli.record import recording

        catalogue = load_catalogue(nodes)
        workflow = with_settings(Workflow.load(file), settings or [], catalogue)
        cancel = CancelToken()
        # A node that prints must not spoil the results on stdout.
        with (
            stopped_by_signals(cancel),
            contextlib.redirect_stdout(sys.stderr),
            showing_progress(not quiet) as show_event,
            recording(show_event, events, profile, workflow) as on_event,
        ):
            result = run(
                workflow,
                targets,
                cache=Cache.none() if no_cache else None,
                catalogue=catalogue,
                out=out,
                on_event=on_event,
                cancel=cancel,
                settings=Settings(preview_interval=None),  # a terminal shows no pictures
            )
        show(result, as_json)


def show(result: Result, as_json: bool) -> None:
    """The results on stdout: paths, one a line, and plain values; or one JSON object."""
    if as_json:
        print_json(
            {
                "outputs": [_item(item) for item in result.outputs],
                "ran": result.ran,
                "cached": result.cached,
                "seconds": round(result.seconds, 3),
            }
        )
        return
    for item in result.outputs:
        if item.path is not None:
            typer.echo(item.path)
        elif item.value is not None:
            typer.echo(item.value)
        else:
            say(f"{item.ref} is {item.kind}, which is no file: link a node that saves it")


def _item(item: Any) -> dict[str, Any]:
    found = {"node": item.node, "kind": item.kind, "path": item.path}
    return found if item.path is not None else found | {"value": item.value}


@contextlib.contextmanager
def stopped_by_signals(cancel: CancelToken) -> Iterator[None]:
    """Ctrl-C cancels, so that a denoise ends within a step; a second one stops on the spot."""

    def stop(number: int, frame: Any) -> None:
        if cancel.cancelled:
            raise KeyboardInterrupt
        cancel.cancel()

    try:
        before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    except ValueError:  # not the main thread: whoever called us handles signals
        yield
        return
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
