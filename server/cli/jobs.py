"""`weft jobs`, `weft cancel` and `weft retry`."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from weft.server.cli.remote import ServerOption, asking, job_data, say_error
from weft.server.cli.report import WRONG, JsonOption, TracebackOption, leave, print_json, say

if TYPE_CHECKING:
    from weft.server.client import Job

State = Literal["queued", "running", "done", "failed", "cancelled"]
IdsArgument = Annotated[list[str], typer.Argument(metavar="ID...", help="Jobs, by their ids.")]


def jobs_command(
    id: Annotated[str | None, typer.Argument(metavar="[ID]", help="Show all about this job.")] = None,
    state: Annotated[
        State | None,
        typer.Option(metavar="S", help="Jobs of this state alone: queued, running, done, failed or cancelled."),
    ] = None,
    tag: Annotated[str | None, typer.Option(metavar="TAG", help="Jobs with this tag alone.")] = None,
    limit: Annotated[int, typer.Option(metavar="N", min=1, max=10_000, help="So many of the newest.")] = 20,
    server: ServerOption = None,
    as_json: JsonOption = False,
    traceback: TracebackOption = False,
) -> None:
    """List a server's jobs, the newest first, or show one."""
    with asking(server, as_json=as_json, traceback_wanted=traceback) as client:
        if id is not None:
            job = client.job(id)
            if as_json:
                print_json(job_data(job))
            else:
                typer.echo("\n".join(about(job, client.address)))
                if job.state == "failed":
                    say_error(job)
            return
        found = client.jobs(state, tag=tag, limit=limit)
        if as_json:
            print_json({"jobs": [job_data(job) for job in found]})
            return
        for job in found:
            typer.echo(row(job))
        if not found:
            say("no jobs" if state is None and tag is None else "no such jobs")


def cancel_command(
    ids: IdsArgument,
    server: ServerOption = None,
    as_json: JsonOption = False,
    traceback: TracebackOption = False,
) -> None:
    """End jobs of a server; those that have ended stay as they are."""
    _each(ids, "cancel", _ending, server, as_json, traceback)


def retry_command(
    ids: IdsArgument,
    server: ServerOption = None,
    as_json: JsonOption = False,
    traceback: TracebackOption = False,
) -> None:
    """Queue jobs of a server again, as new jobs, and print the ids of these."""
    _each(ids, "retry", lambda job: job.id, server, as_json, traceback)


def _each(
    ids: list[str],
    call: Literal["cancel", "retry"],
    line: Callable[[Job], str],
    server: str | None,
    as_json: bool,
    traceback: bool,
) -> None:
    """Make a call for each of some jobs and say what came of it. Of an id that is unknown, the others lose nothing."""
    with asking(server, as_json=as_json, traceback_wanted=traceback) as client:
        from weft.server.client import NotFoundError

        jobs, unknown = [], False
        for id in ids:
            try:
                job = getattr(client, call)(id)
            except NotFoundError as error:
                say(f"error: {error}", "red")
                unknown = True
                continue
            jobs.append(job)
            if not as_json:
                typer.echo(line(job))
        if as_json:
            print_json({"jobs": [job_data(job) for job in jobs]})
        if unknown:
            leave(WRONG)


def _ending(job: Job) -> str:
    # One that runs is ended by its worker a moment later.
    return f"{job.id}  {'is being cancelled' if job.state == 'running' else job.state}"


def row(job: Job) -> str:
    """A job in a line: its id, its state, when it was submitted, how far it is, its title."""
    submitted = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(job.created))
    return f"{job.id}  {job.state:<9}  {submitted}  {how_far(job):<12}  {_line(job.title)}".rstrip()


def how_far(job: Job) -> str:
    """What there is to say of a job in its state, in few words."""
    if job.state == "queued":
        return "" if job.position is None else f"{job.position} before it"
    if job.state == "done" and job.seconds is not None:
        return f"{job.seconds:.1f} s"
    return f"{job.progress.done + job.progress.cached} of {job.progress.of}" if job.progress.of else ""


def about(job: Job, address: str) -> Iterator[str]:
    """A job in several lines."""
    yield row(job)
    if job.tags:
        yield f"  tags: {', '.join(map(_line, job.tags))}"
    if job.attempts:
        yield f"  workers that died on it: {job.attempts}"
    if job.state == "done":
        yield f"  {job.ran} ran, {job.cached} cached"
    for output in job.outputs:
        said = f"{address}/api/v1/files/{output.file}" if output.file is not None else f"{output.value}"
        yield f"  {output.node}: {_line(output.name)}  {_line(said)}"


def _line(text: str) -> str:
    """Somebody's text, without what a terminal would obey."""
    return "".join(letter if letter.isprintable() else " " for letter in text)
