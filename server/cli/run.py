"""`weft run`."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from weft.server.cli.arguments import FileArgument, OutOption, SetOption, TargetOption
from weft.server.cli.report import (
    FAILED,
    JsonOption,
    ModelsOption,
    NodesOption,
    TracebackOption,
    item_words,
    leave,
    load_catalogue,
    model_folders_of,
    print_json,
    reporting,
    say,
    say_drawn,
)

if TYPE_CHECKING:
    from weft.engine import CancelToken, Failure, Result


def run_command(
    file: FileArgument,
    settings: SetOption = None,
    targets: TargetOption = None,
    out: OutOption = Path("out"),
    no_cache: Annotated[bool, typer.Option("--no-cache", help="Use and keep no results of other runs.")] = False,
    as_json: JsonOption = False,
    events: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write the run's events there, a JSON object a line.")
    ] = None,
    profile: Annotated[bool, typer.Option("--profile", help="Say in the end where time went.")] = False,
    keep_going: Annotated[
        bool,
        typer.Option("--keep-going", help="After a failure, make what does not depend on it; exit with 1 in the end."),
    ] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress.")] = False,
    nodes: NodesOption = None,
    models: ModelsOption = None,
    traceback: TracebackOption = False,
) -> None:
    """Run a workflow and print the paths of what it made."""
    with reporting(as_json=as_json, traceback_wanted=traceback), model_folders_of(models):
        from weft.engine import Cache, CancelToken, Settings, run
        from weft.server.cli.opening import open_workflow
        from weft.server.cli.progress import showing_progress
        from weft.server.cli.record import recording
        from weft.server.cli.targets import checked_out, with_savers

        catalogue = load_catalogue(nodes)
        workflow, drawn = open_workflow(file, settings, catalogue)
        say_drawn(drawn)
        out = checked_out(out, workflow, catalogue)
        main = is_main_process()
        workflow, targets, shown_as = with_savers(workflow, targets, catalogue)
        cancel = CancelToken()
        # A node that prints must not spoil the results on stdout.
        with (
            stopped_by_signals(cancel),
            contextlib.redirect_stdout(sys.stderr),
            contextlib.nullcontext(out) if main else own_folder() as out,
            showing_progress(main and not quiet) as show_event,
            recording(show_event, events if main else None, main and profile, workflow) as on_event,
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
                keep_going=keep_going,
                progress=False,  # the listener shows it, if it is wanted
            )
        if main:
            show(result, as_json, drawn, shown_as, failures=keep_going)
        if result.failures:
            say_failures(result.failures, traceback)
            leave(FAILED)


def is_main_process() -> bool:
    """Whether this process was started alone, or as the first of those that a launcher such as torchrun started."""
    return os.environ.get("WORLD_SIZE", "1") == "1" or os.environ.get("RANK", "0") == "0"


@contextlib.contextmanager
def own_folder() -> Iterator[Path]:
    """For what the other processes make, which the first one makes as well: it is gone at the end."""
    with tempfile.TemporaryDirectory(prefix="weft-process-") as folder:
        yield Path(folder)


def show(
    result: Result,
    as_json: bool,
    drawn: Mapping[str, int] | None = None,
    shown_as: Mapping[str, str] | None = None,
    *,
    failures: bool = False,
) -> None:
    """The results on stdout: paths, one a line, and plain values; or one JSON object.

    Args:
        drawn: seeds that were drawn, for the JSON.
        shown_as: the nodes that were asked for, by those that saved what they gave.
        failures: whether these are to be in the JSON too.
    """
    shown_as = shown_as or {}
    if as_json:
        data: dict[str, Any] = {
            "outputs": [_item(item, shown_as.get(item.node, item.node)) for item in result.outputs],
            "ran": result.ran,
            "cached": result.cached,
            "seconds": round(result.seconds, 3),
        }
        if drawn:
            data["drawn"] = dict(drawn)
        if failures:
            data["failures"] = [failure_of(failure) for failure in result.failures]
        print_json(data)
        return
    for item in result.outputs:
        if item.path is not None:
            typer.echo(item.path)
        elif item.value is not None:
            typer.echo(item.value)
        else:
            say(f"{item.ref} is {item.kind}, which is no file: link a node that saves it, and make that")


def failure_of(failure: Failure) -> dict[str, Any]:
    """A failure of a run that kept going as JSON data; `item` as in events: from 0, or null for all of the node."""
    return {"node": failure.node, "item": list(failure.item) or None, "message": failure.error.message}


def say_failures(failures: Sequence[Failure], traceback_wanted: bool) -> None:
    """What failed in a run that kept going, one line each on stderr."""
    for failure in failures:
        named = not failure.item or failure.error.message.startswith("item ")  # most messages say which item it was
        item = "" if named else f", item {item_words(failure.item)},"
        say(f"error: the node {failure.node!r} ({failure.error.type}){item} failed: {failure.error.message}", "red")
        if traceback_wanted and failure.error.traceback:
            say(failure.error.traceback.rstrip())
    count = len(failures)
    say(f"{count} {'failure' if count == 1 else 'failures'}; what does not depend on {'it' if count == 1 else 'them'} "
        "was made")  # fmt: skip


def _item(item: Any, node: str) -> dict[str, Any]:
    found = {"node": node, "kind": item.kind, "path": item.path}
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
