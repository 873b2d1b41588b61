"""`weft schema`."""

from __future__ import annotations

from weft.server.cli.report import NodesOption, TracebackOption, load_catalogue, print_json, reporting


def schema_command(nodes: NodesOption = None, traceback: TracebackOption = False) -> None:
    """Print the JSON Schema of a workflow for the nodes that are installed."""
    with reporting(traceback_wanted=traceback):
        from weft.engine.catalogue.schema import workflow_schema

        print_json(workflow_schema(load_catalogue(nodes)), indent=2)
