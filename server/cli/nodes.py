"""`weft nodes`."""

from __future__ import annotations

import json
from itertools import groupby
from typing import TYPE_CHECKING, Annotated, Any

import typer

from weft.server.cli.complete import complete_node
from weft.server.cli.report import (
    WRONG,
    JsonOption,
    NodesOption,
    TracebackOption,
    leave,
    load_catalogue,
    print_json,
    reporting,
    say,
)

if TYPE_CHECKING:
    from weft.engine import Catalogue


def nodes_command(
    name: Annotated[
        str | None, typer.Argument(metavar="[NAME]", help="Show all about this node.", autocompletion=complete_node)
    ] = None,
    as_json: JsonOption = False,
    nodes: NodesOption = None,
    traceback: TracebackOption = False,
) -> None:
    """List the nodes that are installed, or describe one."""
    with reporting(traceback_wanted=traceback):
        from weft.engine.catalogue.describe import describe_node

        catalogue = load_catalogue(nodes)
        if name is None:
            if as_json:
                print_json([describe_node(node_type) for node_type in catalogue], indent=2)
            else:
                _list(catalogue)
            return
        node_type = catalogue.get(name)
        if node_type is None:
            hint = catalogue.nearest(name)
            say(f"error: there is no node {name!r}." + (f" Did you mean {hint!r}?" if hint else ""), "red")
            leave(WRONG)
        description = describe_node(node_type)
        if as_json:
            print_json(description, indent=2)
        else:
            _show(description)


def _list(catalogue: Catalogue) -> None:
    width = max((len(node_type.name) for node_type in catalogue), default=0)
    for category, members in groupby(catalogue, key=lambda node_type: node_type.category):
        typer.secho(category or "other", bold=True)
        for node_type in members:
            typer.echo(f"  {node_type.name:<{width}}  {node_type.summary}")


def _show(node: dict[str, Any]) -> None:
    typer.secho(f"{node['name']} (version {node['version']}, {node['category'] or 'other'})", bold=True)
    typer.echo(node["help"])
    for title in ("inputs", "outputs"):
        if node[title]:
            typer.secho(f"\n{title}", bold=True)
        for port in node[title]:
            typer.echo(f"  {_signature(port)}")
            if port.get("help"):
                typer.echo(f"      {port['help']}")


def _signature(port: dict[str, Any]) -> str:
    text = f"{port['name']}: {port['type']}" + (" | None" if port.get("optional") else "")
    if "default" in port:
        text += f" = {json.dumps(port['default'], ensure_ascii=False)}"
    if port.get("range"):
        low, high = port["range"]
        text += f"  ({'' if low is None else low}..{'' if high is None else high})"
    return text
