"""`weft params`."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import typer

from weft.server.cli.arguments import FileArgument
from weft.server.cli.report import (
    JsonOption,
    NodesOption,
    TracebackOption,
    load_catalogue,
    print_json,
    reporting,
)

if TYPE_CHECKING:
    from weft.engine import Catalogue
    from weft.graphs.document import Workflow


def params_command(
    file: FileArgument,
    as_json: JsonOption = False,
    nodes: NodesOption = None,
    traceback: TracebackOption = False,
) -> None:
    """List what `--set` can set by name in a workflow: type, value and what it is for."""
    with reporting(as_json=as_json, traceback_wanted=traceback):
        from weft.server.cli.sources import read_workflow

        workflow = read_workflow(file)
        found = parameters(workflow, load_catalogue(nodes))
        if as_json:
            print_json(found, indent=2)
            return
        for item in found:
            typer.echo(line(item))
            if help := item.get("help"):
                typer.echo(f"    {help}")
        if not found:
            inputs = [f"{id}.{name}" for id, spec in workflow.nodes.items() for name in spec.inputs]
            typer.echo(
                "The workflow names no parameters. Any input can be set as node.input" + (": " if inputs else "")
            )
            for name in inputs:
                typer.echo(f"  {name}")


def parameters(workflow: Workflow, catalogue: Catalogue) -> list[dict[str, Any]]:
    """Each parameter as JSON data: `name`, `input` (as node.input), `value` where one stands in the document, and what
    the node's type says of the input (`type`, `range`, `choices`, `help` ...), where that is known."""
    from weft.engine.catalogue.describe import describe_input
    from weft.engine.checking.definitions import use_port
    from weft.graphs.inputs import write_input
    from weft.graphs.problems import WorkflowError

    found = []
    for name, parameter in workflow.parameters.items():
        item: dict[str, Any] = {"name": name, "input": parameter.input}
        try:
            node, input = workflow.resolve_parameter(name)
        except WorkflowError as error:
            found.append(item | {"fault": error.problems[0].message})
            continue
        port = use_port(workflow, node, input, catalogue)
        item |= {} if port is None else {**describe_input(port), "name": name}
        inputs = workflow.nodes[node].inputs
        if input in inputs:
            item["value"] = write_input(inputs[input])
        found.append(item)
    return found


def line(item: dict[str, Any]) -> str:
    """A parameter in a line, such as `seed: int = 7  (0..10)  sets draw.seed`."""
    text = str(item["name"])
    if "type" in item:
        text += f": {item['type']}"
    if "value" in item or "default" in item:
        text += f" = {json.dumps(item.get('value', item.get('default')), ensure_ascii=False)}"
    if "range" in item:
        low, high = item["range"]
        text += f"  ({'' if low is None else low}..{'' if high is None else high})"
    if "choices" in item:
        text += f"  (one of {', '.join(map(str, item['choices']))})"
    text += f"  sets {item['input']}"
    return text + (f"  ({item['fault']})" if "fault" in item else "")
