"""The JSON Schema of a document's form, for editors. `engine.schema` adds the installed nodes to it."""

from __future__ import annotations

from typing import Any

from weft.graphs.attempts import MOST_RETRIES
from weft.graphs.limits import LIMITS
from weft.graphs.names import DEFINITION_NAME, NODE_ID
from weft.graphs.reader import FORMAT, MODES

DIALECT = "https://json-schema.org/draft/2020-12/schema"


def document_schema() -> dict[str, Any]:
    """A new JSON Schema (draft 2020-12) of what `Workflow.parse` and `check_form` accept.

    `$defs` has `link`, `value`, `literal`, `data`, `input`, `node`, `definition` and `parameter`, for a caller that
    replaces `node` by the nodes it knows. A schema cannot say that links lead somewhere, and not in circles.
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
            "definitions": {
                "type": "object",
                "description": "Graphs that nodes may have as their type, by name.",
                "propertyNames": {"pattern": f"^{DEFINITION_NAME.pattern}$"},
                "additionalProperties": {"$ref": "#/$defs/definition"},
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
        "data": {"anyOf": [{"$ref": "#/$defs/value"}, {"$ref": "#/$defs/literal"}]},
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
                "mode": {
                    "enum": [*MODES, None],
                    "description": "Left out of runs: mute with all that depends on it, bypass passing its input on.",
                },
                "retry": {
                    "type": ["integer", "null"],
                    "minimum": 0,
                    "maximum": MOST_RETRIES,
                    "description": "How often it is called again when it failed; absent: what its type says.",
                },
                "timeout": {
                    "type": ["number", "null"],
                    "exclusiveMinimum": 0,
                    "description": "Seconds that a call of it may take; absent: what its type says.",
                },
                "inputs": {
                    "type": "object",
                    "description": "Inputs by name; what is absent has its default.",
                    "additionalProperties": {"$ref": "#/$defs/input"},
                },
            },
            "required": ["type"],
        },
        "definition": {
            "type": "object",
            "properties": {
                "description": {"type": "string"},
                "inputs": {
                    "type": "object",
                    "description": 'What it takes; inside, {"link": "inputs.<name>"} stands for it.',
                    "propertyNames": {"minLength": 1},
                    "additionalProperties": {
                        "type": "object",
                        "properties": {
                            "type": {"type": ["string", "null"], "maxLength": 200, "examples": ["Model", "list[int]"]},
                            "default": {
                                "description": "Data for a node that gives nothing.",
                                "if": {"type": "array"},
                                "then": {"items": {"$ref": "#/$defs/data"}},
                                "else": {"$ref": "#/$defs/data"},
                            },
                            "description": {"type": "string"},
                        },
                    },
                },
                "nodes": {
                    "type": "object",
                    "propertyNames": {"pattern": f"^(?!inputs$){NODE_ID.pattern}$"},
                    "additionalProperties": {"$ref": "#/$defs/node"},
                },
                "outputs": {
                    "type": "object",
                    "description": "What it gives, the first one first.",
                    "propertyNames": {"minLength": 1},
                    "additionalProperties": {
                        "type": "object",
                        "properties": {
                            "link": {"type": "string", "pattern": r"^[^.]+(\.[\s\S]+)?$"},
                            "type": {"type": ["string", "null"], "maxLength": 200},
                            "description": {"type": "string"},
                        },
                        "required": ["link"],
                    },
                },
                "ui": {"type": "object"},
            },
            "required": ["nodes"],
        },
        "parameter": {
            "type": "object",
            "properties": {"input": {"type": "string", "pattern": r"^[^.]+\.[\s\S]+$", "description": "node.input"}},
            "required": ["input"],
        },
    }
