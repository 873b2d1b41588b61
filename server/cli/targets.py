"""What a run is asked to make: values that no node saves get one that does, and the folder for files is looked at."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from weft.graphs.inputs import Link

if TYPE_CHECKING:
    from weft.engine import Catalogue, NodeType
    from weft.graphs.document import Workflow


def with_savers(
    workflow: Workflow, targets: Sequence[str] | None, catalogue: Catalogue
) -> tuple[Workflow, list[str] | None, dict[str, str]]:
    """The workflow with a node that saves each target whose value some installed node can save, such as an image.

    Returns:
        The workflow, the targets in their order with these nodes in place of what they save, and the targets by the
        ids of the nodes that save them.
    """
    if targets is None:
        return workflow, None, {}
    from weft.graphs.document import NodeSpec

    nodes, names = dict(workflow.nodes), []
    saved: dict[str, str] = {}
    for target in targets:
        id, _, output = target.partition(".")
        node_type = catalogue.get(nodes[id].type) if id in workflow.nodes else None
        found = _saver(node_type, output, catalogue) if node_type is not None and not node_type.output else None
        if node_type is None or found is None:
            names.append(target)
            continue
        saver, input = found
        name = f"{id}-{output}" if output else id
        new = f"{id}_file"
        while new in nodes:
            new += "_"
        link = Link(id, output or node_type.first_output)
        nodes[new] = NodeSpec(type=saver.name, version=saver.version, inputs={input: link, "name": name})
        names.append(new)
        saved[new] = target
    return (workflow.model_copy(update={"nodes": nodes}) if saved else workflow), names, saved


def _saver(node_type: NodeType, output: str, catalogue: Catalogue) -> tuple[NodeType, str] | None:
    """A node that takes just the value of an output and a file's name, and the input for the value."""
    port = node_type.outputs.get(output or node_type.first_output)
    if port is None or port.generic or not isinstance(port.type, type) or issubclass(port.type, (str, int, float)):
        return None
    for saver in catalogue:
        if saver.output and saver.side_files and not saver.generic and "name" in saver.inputs:
            required = {name: input for name, input in saver.inputs.items() if input.required and name != "name"}
            if [input.item for input in required.values()] == [port.type] and saver.inputs["name"].item is str:
                return saver, next(iter(required))
    return None


def checked_out(out: Path, workflow: Workflow, catalogue: Catalogue) -> Path:
    """The folder for results, `~` being the home folder.

    Raises:
        typer.BadParameter: it cannot be made or written to, and a node of the workflow writes files.
    """
    out = out.expanduser()
    types = (catalogue.get(spec.type) for spec in workflow.nodes.values())
    if not any(node_type is not None and node_type.side_files for node_type in types):
        return out
    place = out.absolute()
    while not os.path.lexists(place) and place != place.parent:
        place = place.parent
    if not place.is_dir():
        raise typer.BadParameter(f"{place} is no folder, so nothing can be written there", param_hint="--out")
    if not os.access(place, os.W_OK | os.X_OK):
        raise typer.BadParameter(f"{place} may not be written to", param_hint="--out")
    return out
