"""`weft models`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import typer

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
    from weft.engine.declaring.model_list import ModelEntry


def models_command(
    as_json: JsonOption = False,
    models: ModelsOption = None,
    nodes: NodesOption = None,
    traceback: TracebackOption = False,
) -> None:
    """List the models that loaders can load by name: bundled ones, and those in the model folders.

    The folders are those of --models, or else of the environment variable WEFT_MODELS. What cannot be loaded is listed
    with the reason.
    """
    with reporting(traceback_wanted=traceback), model_folders_of(models) as folders:
        catalogue = load_catalogue(nodes)
        before = len(catalogue.failures)
        entries = catalogue.models(folders)
        for failure in catalogue.failures[before:]:
            say(f"left out {failure}", "yellow")
        if as_json:
            print_json([_data(entry) for entry in entries], indent=2)
            return
        rows = [(entry.name, entry.kind or "?", entry.family or "-", size_text(entry.bytes)) for entry in entries]
        widths = [max((len(row[column]) for row in rows), default=0) for column in range(4)]
        for entry, row in zip(entries, rows, strict=True):
            cells = [text.ljust(width) for text, width in zip(row[:3], widths, strict=False)]
            place = "bundled" if entry.bundled else str(entry.path)
            typer.echo("  ".join([*cells, row[3].rjust(widths[3]), place]))
            if entry.fault:
                typer.secho(f"    {entry.fault}", fg="yellow")


def _data(entry: ModelEntry) -> dict[str, Any]:
    found = {
        "name": entry.name,
        "kind": entry.kind,
        "family": entry.family,
        "bytes": entry.bytes,
        "path": str(entry.path),
        "bundled": entry.bundled,
    }
    return found | {"fault": entry.fault} if entry.fault else found


def size_text(count: int) -> str:
    """A number of bytes for people, such as 4.3 GB."""
    size = float(count)
    for unit in ("B", "kB", "MB", "GB"):
        if size < 1000 or unit == "GB":
            break
        size /= 1000
    return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"
