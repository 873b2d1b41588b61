"""The commands together."""

from __future__ import annotations

from typing import Annotated

import typer

from weft.server.cli.cache import cache_app
from weft.server.cli.check import check_command
from weft.server.cli.draw import draw_command
from weft.server.cli.examples import examples_command
from weft.server.cli.import_picture import import_command
from weft.server.cli.jobs import cancel_command, jobs_command, retry_command
from weft.server.cli.models import models_command
from weft.server.cli.nodes import nodes_command
from weft.server.cli.params import params_command
from weft.server.cli.plan import plan_command
from weft.server.cli.run import run_command
from weft.server.cli.schema import schema_command
from weft.server.cli.serve import serve_command
from weft.server.cli.submit import submit_command
from weft.server.cli.token import token_command
from weft.server.cli.why import why_command

app = typer.Typer(
    name="weft",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        typer.echo(f"weft {version('weft')}")
        raise typer.Exit


@app.callback()
def weft(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    """Run workflows that make images with diffusion models.

    stdout carries results, stderr progress and errors. Exit codes: 0 done, 1 the run failed, 2 the workflow or the
    call is wrong, 130 interrupted.
    """


app.command("run")(run_command)
app.command("check")(check_command)
app.command("params")(params_command)
app.command("plan")(plan_command)
app.command("why")(why_command)
app.command("nodes")(nodes_command)
app.command("models")(models_command)
app.command("schema")(schema_command)
app.command("draw")(draw_command)
app.command("import")(import_command)
app.command("token")(token_command)
app.command("examples")(examples_command)
app.command("serve")(serve_command)
app.command("submit")(submit_command)
app.command("jobs")(jobs_command)
app.command("cancel")(cancel_command)
app.command("retry")(retry_command)
app.add_typer(cache_app, name="cache")


def main() -> None:
    """The `weft` command."""
    app()
