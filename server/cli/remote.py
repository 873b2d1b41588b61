"""What the commands that call a server have in common: its address, and how its refusals are told."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Any

import typer

from weft.server.cli.report import FAILED, WRONG, leave, print_json, problem_lines, reporting, say

if TYPE_CHECKING:
    from weft.server.client import Client, Job

ServerOption = Annotated[
    str | None,
    typer.Option(
        metavar="URL",
        help="The server's address; otherwise the one that WEFT_SERVER names, else http://127.0.0.1:9338.",
    ),
]
PATIENCE = 10.0
"""Seconds for which a command tries again to reach a server that was there."""


@contextlib.contextmanager
def asking(server: str | None, *, as_json: bool = False, traceback_wanted: bool = False) -> Iterator[Client]:
    """A client while the block runs; what goes wrong is turned into words and an exit code."""
    with reporting(as_json=as_json, traceback_wanted=traceback_wanted):
        try:
            from weft.server.client import Client, NoServerError, RefusedError, ServerError
        except ImportError as error:
            say(f"error: this needs the extra weft[server] ({error.name} is not installed)", "red")
            leave(WRONG)
        try:
            client = Client(server, patience=PATIENCE)
        except ValueError as error:
            say(f"error: {error}", "red")
            leave(WRONG)
        try:
            with client:
                yield client
        except RefusedError as error:
            first, *_ = str(error).splitlines()
            say(f"error: {first}", "red")
            for text, colour in problem_lines(error.problems):
                say(text, colour)
            if error.status == 401:
                say("  WEFT_TOKEN names the token, or the file that holds it")
            if as_json:
                print_json({"error": {"code": error.code, "message": first}})
            leave(FAILED if error.status >= 500 or error.status == 429 else WRONG)
        except ServerError as error:
            say(f"error: {error}", "red")
            if as_json:
                print_json({"error": {"message": str(error)}})
            leave(WRONG if isinstance(error, NoServerError) else FAILED)


def job_data(job: Job) -> dict[str, Any]:
    """A job as JSON data."""
    from dataclasses import asdict

    data = asdict(job)
    outputs = [{name: value for name, value in output.items() if value is not None} for output in data["outputs"]]
    return {**data, "outputs": outputs}


def say_error(job: Job) -> None:
    """Why a job failed, on stderr."""
    error = job.error or {}
    where = f" at the node {error['node']!r}" + (f" ({error['type']})" if error.get("type") else "")
    say(
        f"error: the job {job.id} failed{where if error.get('node') else ''}: {error.get('message', '')}",
        "red",
        bold=True,
    )
