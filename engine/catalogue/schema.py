"""The JSON Schema of a document for the nodes that are installed: any JSON editor completes and checks with it."""

from __future__ import annotations

from pathlib import PurePath
from typing import Any, Literal, get_args, get_origin

from weft.engine.catalogue.catalogue import Catalogue
from weft.engine.catalogue.describe import json_default
from weft.engine.declaring.node_type import NodeType
from weft.engine.declaring.ports import Port
from weft.engine.declaring.types import NoneType, describe, is_list, is_union, item_type
from weft.graphs.schema import document_schema

_LINK = {"$ref": "#/$defs/link"}
_SIMPLE: dict[Any, dict[str, Any]] = {
    int: {"type": "integer"},
    float: {"type": "number"},
    str: {"type": "string"},
    bool: {"type": "boolean"},
    NoneType: {"type": "null"},
}


def workflow_schema(catalogue: Catalogue) -> dict[str, Any]:
    """JSON Schema (draft 2020-12). `$defs` has one schema for each node type, under `node:<name>`."""
    schema = document_schema()
    definitions = schema["$defs"]
    types = sorted(catalogue, key=lambda node_type: node_type.name)
    for node_type in types:
        definitions[f"node:{node_type.name}"] = node_schema(node_type)
    # `if type is x then schema of x`, rather than one big `oneOf`: an editor then says what is wrong with *this* node.
    known = definitions["node"]
    known["properties"]["type"] = {
        "description": "The node's type.",
        "enum": [node_type.name for node_type in types],
    }
    # With definitions in the document, their names are types too, which no schema can look up.
    schema["if"] = {"properties": {"definitions": {"type": "object", "minProperties": 1}}, "required": ["definitions"]}
    schema["else"] = {
        "properties": {"nodes": {"additionalProperties": {"properties": {"type": known["properties"]["type"]}}}}
    }
    known["properties"]["type"] = {"anyOf": [known["properties"]["type"], {"type": "string", "minLength": 1}]}
    known["allOf"] = [
        {
            "if": {"properties": {"type": {"const": node_type.name}}, "required": ["type"]},
            "then": {"$ref": f"#/$defs/node:{node_type.name}"},
        }
        for node_type in types
    ]
    return schema


def node_schema(node_type: NodeType) -> dict[str, Any]:
    """The schema of one node object of this type, in its installed version."""
    required = [name for name, port in node_type.inputs.items() if port.required]
    inputs: dict[str, Any] = {
        "type": "object",
        "properties": {name: input_schema(port) for name, port in node_type.inputs.items()},
        "additionalProperties": False,
    }
    if required:
        inputs["required"] = required
    schema: dict[str, Any] = {
        "title": node_type.name,
        "description": node_type.help or node_type.name,
        "type": "object",
        "properties": {"type": {"const": node_type.name}, "inputs": inputs},
        "required": ["type", "inputs"] if required else ["type"],
    }
    if not node_type.migrations:
        schema["properties"]["version"] = {"enum": [node_type.version, None]}
    else:
        # Inputs of older versions are not described: those documents are migrated when they are read.
        schema["properties"]["version"] = {"type": ["integer", "null"], "minimum": 1, "maximum": node_type.version}
    return schema


def input_schema(port: Port) -> dict[str, Any]:
    """What an input takes: a literal of its type, a link, or a list of these."""
    literal = _literal(port, port.item)
    if port.many:
        item: dict[str, Any] = {"anyOf": [literal, _LINK, {"$ref": "#/$defs/value"}] if literal else [_LINK]}
        forms = [{"type": "array", "items": item}, _LINK]
    else:
        forms = [*([literal] if literal is not None else []), _LINK, {"$ref": "#/$defs/value"}]
    if port.optional:
        forms.append({"type": "null"})
    words = [port.help, f"Type: {describe(port.type)}."]
    if port.range is not None:
        words.append(f"Range: {port.range}.")
    schema: dict[str, Any] = {"description": " ".join(word for word in words if word), "anyOf": forms}
    if not port.required:
        schema["default"] = json_default(port)
    return schema


def _literal(port: Port, tp: Any) -> dict[str, Any] | None:
    """The schema of a literal of type `tp`; None for a type that no document can hold."""
    if port.choices:
        return {"enum": list(port.choices)}
    schema = _of_type(tp)
    if schema is not None and port.range is not None:
        if port.range.low is not None:
            schema["minimum"] = port.range.low
        if port.range.high is not None:
            schema["maximum"] = port.range.high
    return schema


def _of_type(tp: Any) -> dict[str, Any] | None:
    if tp in _SIMPLE:
        return dict(_SIMPLE[tp])
    if get_origin(tp) is Literal:
        return {"enum": list(get_args(tp))}
    if is_union(tp):
        arms = [schema for arm in get_args(tp) if (schema := _of_type(arm)) is not None]
        return {"anyOf": arms} if arms else None
    if is_list(tp):
        return {"type": "array", "items": _of_type(item_type(tp)) or {}}
    origin = get_origin(tp) or tp
    if origin is tuple:
        return {"type": "array"}
    if origin is dict:
        return {"type": "object"}
    if isinstance(origin, type) and origin not in (object, Any):
        return {"type": "string"} if issubclass(origin, PurePath) else None
    return {"$ref": "#/$defs/literal"}  # Any, object, a TypeVar
