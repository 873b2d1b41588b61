"""What pictures of workflows show of node types: the catalogue's word on their ports."""

from __future__ import annotations

from weft.engine.catalogue.catalogue import Catalogue, installed
from weft.engine.declaring.types import describe
from weft.graphs.document import Workflow
from weft.graphs.draw import Describe, NodeShape, PortShape


def shapes(catalogue: Catalogue) -> Describe:
    """What a drawing wants to know of a node type."""

    def of(name: str) -> NodeShape | None:
        node_type = catalogue.get(name)
        if node_type is None:
            return None
        inputs = (
            PortShape(port.name, describe(port.item), port.many, port.required) for port in node_type.inputs.values()
        )
        outputs = (PortShape(port.name, describe(port.type)) for port in node_type.outputs.values())
        return NodeShape(tuple(inputs), tuple(outputs))

    return of


def shapes_for(workflow: Workflow) -> Describe:
    """The same of the installed nodes and of those that the workflow's graph called."""
    return shapes(installed().knowing(workflow.declarations))
