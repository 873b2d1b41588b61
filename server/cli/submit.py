"""`weft submit`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from weft.server.cli.arguments import FileArgument, SetOption, TargetOption
from weft.server.cli.remote import ServerOption, asking, job_data, say_error
from weft.server.cli.report import (
    FAILED,
    INTERRUPTED,
    JsonOption,
    TracebackOption,
    leave,
    load_catalogue,
    print_json,
    say,
    say_drawn,
)

if TYPE_CHECKING:
    from weft.graphs.document import Workflow
    from weft.server.client import Client, Job


def submit_command(
    file: FileArgument,
    settings: SetOption = None,
    targets: TargetOption = None,
    wait: Annotated[bool, typer.Option("--wait", help="Show progress until it has ended, then its results.")] = False,
    out: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Folder for what is made; it is fetched there. Means --wait.")
    ] = None,
    upload: Annotated[
        bool, typer.Option("--upload", help="Send the pictures of this machine that the workflow reads.")
    ] = False,
    priority: Annotated[
        int, typer.Option(metavar="N", min=-1000, max=1000, help="Jobs of a higher one come first.")
    ] = 0,
    tags: Annotated[list[str] | None, typer.Option("--tag", metavar="TAG", help="A word to find the job by.")] = None,
    server: ServerOption = None,
    as_json: JsonOption = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress.")] = False,
    traceback: TracebackOption = False,
) -> None:
    """Queue a workflow at a server and print the job's id; with --wait, print what it made."""
    with asking(server, as_json=as_json, traceback_wanted=traceback) as client:
        from weft.server.cli.sources import STDIN, read_workflow

        workflow = read_workflow(file)
        texts = _drawn(workflow, settings or [])
        is_file = file != STDIN and file.expanduser().is_file()
        source: Any = file if upload and is_file else workflow  # relative paths begin beside the file
        job = client.submit(source, set=texts, targets=targets or (), priority=priority, tags=tags or (), upload=upload)
        if not (wait or out):
            _say_queued(job, quiet)
            if as_json:
                print_json(job_data(job))
            else:
                typer.echo(job.id)
            return
        try:
            job = _ended(client, job, quiet)
        except KeyboardInterrupt:
            say(f"the job goes on; to end it: weft cancel {job.id} --server {client.address}", "yellow")
            leave(INTERRUPTED)
        paths = _fetched(client, job, out)
        if as_json:
            print_json(job_data(job) | ({"paths": paths} if out else {}))
        elif job.state == "done":
            _show(client, job, paths)
        if job.state == "failed":
            say_error(job)
        elif job.state == "cancelled":
            say(f"the job {job.id} was cancelled", "yellow")
        if job.state != "done":
            leave(FAILED)


def _drawn(workflow: Workflow, settings: Sequence[str]) -> list[str]:
    """The settings with numbers in place of `random`; the nodes are looked at for these alone."""
    from weft.server.cli.opening import RANDOM, draw_seeds

    if not any(text.endswith(f"={RANDOM}") for text in settings):
        return list(settings)
    texts, drawn = draw_seeds(workflow, settings, load_catalogue(None))
    say_drawn(drawn)
    return texts


def _say_queued(job: Job, quiet: bool) -> None:
    if not quiet and job.position:
        say(f"queued, with {job.position} {'job' if job.position == 1 else 'jobs'} before it")


def _ended(client: Client, job: Job, quiet: bool) -> Job:
    """The job once it has ended; shows how far it is."""
    from pydantic import TypeAdapter, ValidationError

    from weft.engine.events import AnyEvent, Event
    from weft.server.cli.progress import showing_progress

    reader: TypeAdapter[Event] = TypeAdapter(AnyEvent)
    _say_queued(job, quiet)
    with showing_progress(not quiet) as show:
        for event in client.events(job):
            if show is None:
                continue
            try:
                show(reader.validate_python(event))
            except ValidationError:  # of the server, or of a newer one
                continue
    return client.job(job.id)


def _fetched(client: Client, job: Job, out: Path | None) -> list[str]:
    if out is None:
        return []
    folder = f"{out.expanduser().absolute()}/"
    return [str(client.download(output, folder)) for output in job.outputs if output.file is not None]


def _show(client: Client, job: Job, paths: list[str]) -> None:
    """The results on stdout: paths of files that were fetched, addresses of others, values."""
    left = iter(paths)
    for output in job.outputs:
        if output.file is not None:
            typer.echo(next(left, None) or f"{client.address}/api/v1/files/{output.file}")
        elif output.value is not None:
            typer.echo(output.value)
        else:
            say(f"{output.node}.{output.name} is no file: link a node that saves it, and make that")
