"""Node types as plain data, for `weft nodes`, the schema, the reference, editors and the server."""

from __future__ import annotations

from pathlib import PurePath
from typing import Any

from weft.engine.declaring.node_type import NodeType
from weft.engine.declaring.ports import OutputPort, Port
from weft.engine.declaring.types import describe as type_text
from weft.engine.declaring.types import variables
from weft.engine.plain import canonical


def describe_node(node_type: NodeType) -> dict[str, Any]:
    """Everything a person or an editor wants to know of a node type, as JSON data."""
    return {
        "name": node_type.name,
        "version": node_type.version,
        "category": node_type.category,
        "summary": node_type.summary,
        "help": node_type.help,
        "inputs": [describe_input(port) for port in node_type.inputs.values()],
        "outputs": [describe_output(port) for port in node_type.outputs.values()],
        "output": node_type.output,
        "resource": node_type.resource,
        "cache": node_type.cache,
        "tags": list(node_type.tags),
        "origin": node_type.origin,
    }


def describe_input(port: Port) -> dict[str, Any]:
    """One input; what does not apply is left out."""
    found: dict[str, Any] = {"name": port.name, "type": type_text(port.type), "required": port.required}
    if not port.required:
        found["default"] = json_default(port)
    if port.optional:
        found["optional"] = True
    if port.many:
        found["many"] = True
    if port.lazy:
        found["lazy"] = True
    if port.generic:
        found["variables"] = variables(port.type)
    if port.range is not None:
        found["range"] = [port.range.low, port.range.high]
        if port.range.usual is not None:
            found["usual"] = list(port.range.usual)
    if port.choices:
        found["choices"] = list(port.choices)
    if port.widget is not None:
        found["widget"] = {"kind": port.widget.kind, **dict(port.widget.options)}
    if port.help:
        found["help"] = port.help
    return found


def describe_output(port: OutputPort) -> dict[str, Any]:
    """One output."""
    found: dict[str, Any] = {"name": port.name, "type": type_text(port.type)}
    if port.generic:
        found["variables"] = variables(port.type)
    return found | {"help": port.help} if port.help else found


def json_default(port: Port) -> Any:
    """The default as a document would have it; the text of one that a document cannot have."""
    value = port.default
    if isinstance(value, (str, int, float, bool, type(None), list, tuple, dict, PurePath)):
        return canonical(value)
    return repr(value)
