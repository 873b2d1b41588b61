"""`weft token`."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from weft.server.cli.report import WRONG, leave, say


def token_command(
    file: Annotated[
        Path | None,
        typer.Argument(
            metavar="FILE", help="Where to; by default `token` in the data folder: WEFT_DATA, or else the user's."
        ),
    ] = None,
    replace: Annotated[bool, typer.Option("--replace", help="Make a new token in place of one that is there.")] = False,
) -> None:
    """Make a token for a server that others can reach: 32 random bytes in a file that only its owner may read.

    Prints the file's path, for `weft serve --token`.
    """
    from weft.server.tokens import TokenError, make_token

    if file is None:
        from weft.server.settings import default_data_folder

        file = Path(os.environ.get("WEFT_DATA") or default_data_folder()) / "token"
    try:
        typer.echo(make_token(file, replace=replace))
    except TokenError as error:
        hint = " (--replace makes one in its place)" if not replace and file.exists() else ""
        say(f"error: {error}{hint}", "red")
        leave(WRONG)
