"""`weft cache`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from weft.server.cli.report import FAILED, JsonOption, TracebackOption, leave, print_json, reporting, say

if TYPE_CHECKING:
    from weft.engine.cache import Cache
    from weft.engine.cache.store import ResultStore

cache_app = typer.Typer(no_args_is_help=True, rich_markup_mode=None, help="Look after results kept on disk.")


def _disk() -> ResultStore:
    from weft.engine.cache import DISK_BYTES, default_folder
    from weft.engine.cache.store import ResultStore

    return ResultStore(default_folder(), DISK_BYTES)


def _cache() -> Cache:
    from weft.engine.cache import Cache, default_folder

    return Cache(default_folder())


@cache_app.command("info")
def info(as_json: JsonOption = False, traceback: TracebackOption = False) -> None:
    """Say where results are kept and how much they take."""
    with reporting(traceback_wanted=traceback):
        disk = _disk()
        entries, used = disk.usage()
        workspaces = _cache().workspaces
        count, bytes_in_them = workspaces.usage() if workspaces is not None else (0, 0)
        if as_json:
            data = {"folder": str(disk.folder), "entries": entries, "bytes": used, "max_bytes": disk.max_bytes}
            print_json(data | {"workspaces": count, "workspace_bytes": bytes_in_them})
            return
        typer.echo(f"folder   {disk.folder}  ($WEFT_CACHE chooses another)")
        typer.echo(f"results  {entries:,}")
        typer.echo(f"size     {_size(used)} of at most {_size(disk.max_bytes)}")
        if count:
            typer.echo(f"         and {_size(bytes_in_them)} in {count:,} workspaces of nodes")


@cache_app.command("verify")
def verify(as_json: JsonOption = False, traceback: TracebackOption = False) -> None:
    """Read every result; remove those that are damaged, and exit with 1 if there were any."""
    with reporting(traceback_wanted=traceback):
        sound, wrong = _disk().verify()
        if as_json:
            print_json({"sound": sound, "removed": wrong})
        else:
            for text in wrong:
                say(f"removed {text}", "yellow")
            typer.echo(f"{sound:,} sound, {len(wrong):,} damaged and removed")
        if wrong:
            leave(FAILED)


@cache_app.command("clear")
def clear(as_json: JsonOption = False, traceback: TracebackOption = False) -> None:
    """Remove every result from disk, what is known of their making, and the workspaces that no node uses now."""
    with reporting(traceback_wanted=traceback):
        removed = _cache().clear()
        if as_json:
            print_json({"removed": removed})
        else:
            typer.echo(f"removed {removed:,} results")


def _size(count: float) -> str:
    for unit in ("B", "KiB", "MiB"):
        if count < 1024:
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1024
    return f"{count:.1f} GiB"
