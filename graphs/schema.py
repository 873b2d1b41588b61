"""The JSON Schema of a document's form, for editors. `engine.schema` adds the installed nodes to it."""

from __future__ import annotations

from typing import Any

from graphs.limits import LIMITS
from graphs.reader import FORMAT, NODE_ID

DIALECT = "https://json-schema.org/draft/2020-12/schema"


def document_schema() -> dict[str, Any]:
    """A new JSON Schema (draft 2020-12) of what `Workflow.parse` and `check_form` accept.

    `$defs` has `link`, `value`, `literal`, `input`, `node` and `parameter`, for a caller that replaces `node` by
    the nodes it knows. A schema cannot say that links lead somewhere, and not in circles.
    """
    return {
        "$schema": DIALECT,
        "title": "Weft workflow",
        "type": "object",
        "required": ["weft", "nodes"],
        "properties": {
            "weft": {"const": FORMAT, "description": "Version of the format."},
            "meta": {
                "type": "object",
                "description": "About the workflow; never affects results.",
                "properties": {"title": {"type": "string"}, "description": {"type": "string"}},
            },
            "nodes": {
                "type": "object",
                "description": "The nodes by id; their order carries no meaning.",
                "maxProperties": LIMITS.max_nodes,
                "propertyNames": {"pattern": f"^{NODE_ID.pattern}$"},
                "additionalProperties": {"$ref": "#/$defs/node"},
            },
            "parameters": {
                "type": "object",
                "description": "Inputs that a caller may set, by name.",
                "additionalProperties": {"$ref": "#/$defs/parameter"},
            },
            "ui": {"type": "object", "description": "What an editor remembers; never affects results."},
        },
        "$defs": definitions(),
    }


def definitions() -> dict[str, Any]:
    """The parts that a document is made of, new each time."""
    return {
        "link": {
            "description": 'The output of another node: "node" for its first, "node.output" for one by name.',
            "type": "object",
            "properties": {"link": {"type": "string", "pattern": r"^[^.]+(\.[\s\S]+)?$"}},
            "required": ["link"],
            "additionalProperties": False,
        },
        "value": {
            "description": "A literal taken as it is, also when it looks like a link.",
            "type": "object",
            "properties": {"value": True},
            "required": ["value"],
            "additionalProperties": False,
        },
        "literal": {
            "description": "JSON data without a link in it.",
            "not": {"type": "object", "required": ["link"]},
            "items": {"$ref": "#/$defs/literal"},
            "additionalProperties": {"$ref": "#/$defs/literal"},
        },
        "item": {"anyOf": [{"$ref": f"#/$defs/{name}"} for name in ("link", "value", "literal")]},
        "input": {
            "description": "A literal, a link, or a list of these.",
            "if": {"type": "array"},
            "then": {"items": {"$ref": "#/$defs/item"}},
            "else": {"$ref": "#/$defs/item"},
        },
        "node": {
            "type": "object",
            "properties": {
                "type": {"type": "string", "minLength": 1, "description": "The node's type."},
                "version": {
                    "type": ["integer", "null"],
                    "minimum": 1,
                    "description": "The version of the type that the inputs are written for; absent: the newest.",
                },
                "inputs": {
                    "type": "object",
                    "description": "Inputs by name; what is absent has its default.",
                    "additionalProperties": {"$ref": "#/$defs/input"},
                },
            },
            "required": ["type"],
        },
        "parameter": {
            "type": "object",
            "properties": {"input": {"type": "string", "pattern": r"^[^.]+\.[\s\S]+$", "description": "node.input"}},
            "required": ["input"],
        },
    }
