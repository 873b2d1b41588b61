"""`weft serve`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from weft.server.cli.report import WRONG, JsonOption, TracebackOption, leave, print_json, reporting, say


def serve_command(
    host: Annotated[str | None, typer.Option(metavar="ADDRESS", help="The address to listen at.")] = None,
    port: Annotated[int | None, typer.Option(metavar="N", help="The port; 0 takes a free one.")] = None,
    data: Annotated[
        Path | None, typer.Option(metavar="DIR", help="The folder that holds jobs, files and workflows.")
    ] = None,
    models: Annotated[list[Path] | None, typer.Option(metavar="DIR", help="A folder with models.")] = None,
    inputs: Annotated[list[Path] | None, typer.Option(metavar="DIR", help="A folder that workflows may read.")] = None,
    nodes: Annotated[list[Path] | None, typer.Option(metavar="DIR", help="A folder with nodes in .py files.")] = None,
    workers: Annotated[int | None, typer.Option(metavar="N", help="Worker processes.")] = None,
    token: Annotated[Path | None, typer.Option(metavar="FILE", help="A file with the token that callers need.")] = None,
    names: Annotated[
        list[str] | None, typer.Option("--name", metavar="NAME", help="Another name by which the server is reached.")
    ] = None,
    open_page: Annotated[bool | None, typer.Option("--open/--no-open", help="Open the page in a browser.")] = None,
    safe_mode: Annotated[bool | None, typer.Option("--safe-mode", help="Use Weft's own nodes alone.")] = None,
    debug: Annotated[bool | None, typer.Option("--debug", help="Show tracebacks and paths in answers.")] = None,
    show_settings: Annotated[
        bool, typer.Option("--show-settings", help="Print each setting with where it came from, and end.")
    ] = False,
    as_json: JsonOption = False,
    traceback: TracebackOption = False,
) -> None:
    """Run a server: a durable queue of jobs, worker processes, live events."""
    with reporting(as_json=as_json, traceback_wanted=traceback):
        try:
            from weft.server.settings import SettingsError, make_folders, resolve
        except ImportError as error:
            say(f"error: weft serve needs the extra weft[server] ({error.name} is not installed)", "red")
            leave(WRONG)
        said: dict[str, Any] = {
            "host": host, "port": port, "data": data, "models": models, "inputs": inputs, "nodes": nodes,
            "workers": workers, "token": token, "names": names, "open": open_page, "safe_mode": safe_mode,
            "debug": debug,
        }  # fmt: skip
        try:
            resolved = resolve(said)
            for warning in resolved.warnings:
                say(f"warning: {warning}", "yellow")
            if show_settings:
                if as_json:
                    print_json(resolved.data())
                else:
                    typer.echo("\n".join(resolved.lines()))
                return
            make_folders(resolved.settings)
        except SettingsError as error:
            for problem in error.problems:
                say(f"error: {problem}", "red")
            leave(WRONG)
        _run(resolved.settings)


def _run(settings: Any) -> None:
    import asyncio
    import gc

    gc.disable()  # what is imported stays: to look through it again and again is a tenth of the start
    from weft.server.logs import start_logs
    from weft.server.scrub import Scrubber
    from weft.server.serving import Serving
    from weft.server.store.opening import FolderInUse
    from weft.server.store.protocol import StoreError
    from weft.server.tokens import read_token

    gc.freeze()
    gc.enable()
    token = None if settings.token is None else read_token(settings.token)
    start_logs(Scrubber.of_machine({}, settings.secrets(token)), level=settings.log_level, form=settings.log_form)

    def announce(address: str) -> None:
        shown = address if token is None else f"{address}#token={token}"
        typer.echo(shown)
        if settings.open:
            import webbrowser

            webbrowser.open(shown)

    try:
        asyncio.run(Serving(settings, token=token, announce=announce).run())
    except FolderInUse as error:
        say(f"error: {error}", "red")
        leave(WRONG)
    except StoreError as error:
        say(f"error: {error}", "red")
        leave(WRONG)
    except OSError as error:
        say(f"error: {settings.host}:{settings.port} cannot be listened at: {error.strerror}", "red")
        leave(WRONG)
