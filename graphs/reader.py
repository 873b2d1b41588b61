"""From text or JSON data to a `Workflow`: every problem of form is collected before one error is raised."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from weft.graphs.attempts import retry_fault, timeout_fault
from weft.graphs.document import Definition, DefinitionInput, DefinitionOutput, NodeSpec, Parameter, Workflow
from weft.graphs.inputs import Link, TooDeepError, literal, read_input
from weft.graphs.jsontext import read_json, refuse
from weft.graphs.limits import LIMITS, Limits
from weft.graphs.names import DEFINITION_NAME, node_id_fault
from weft.graphs.pictures import PictureError, picture_kind, texts_of
from weft.graphs.problems import Code, Problem, WorkflowError, near, shown

FORMAT = 1
MODES = ("mute", "bypass")
OTHERS = {"invokeai_metadata": "InvokeAI", "parameters": "AUTOMATIC1111"}
"""Texts in pictures of other programs, which `graphs.metadata` reads."""


def load_workflow(path: Path, limits: Limits) -> Workflow:
    """See `Workflow.load`."""
    try:
        with open(path, "rb") as file:
            # Not read() of the file's stated size: a device or a growing file has none worth trusting.
            data = file.read(limits.max_bytes + 1)
            if kind := picture_kind(data):
                return _from_picture(path, kind, limits)
            if len(data) > limits.max_bytes:
                size = os.fstat(file.fileno()).st_size
                message = f"{path}: the file has {size:,} bytes; at most {limits.max_bytes:,} are read."
                refuse(message, "too_large", given=size, expected=limits.max_bytes)
    except FileNotFoundError:
        message = f"There is no file {path}."
        raise WorkflowError([Problem(code="bad_document", message=message, suggestion=_sibling(path))]) from None
    except OSError as error:
        refuse(f"{path} cannot be read: {error.strerror or error}.")
    return read_workflow(data, limits)


def _sibling(path: Path) -> str | None:
    """The file beside `path` with the nearest name; endings do not count, since nearly all are alike."""
    try:
        names = {Path(name).stem: name for name in os.listdir(path.parent)}
    except OSError:
        return None
    stem = near(path.stem, names)
    return str(path.with_name(names[stem])) if stem else None


def _from_picture(path: Path, kind: str, limits: Limits) -> Workflow:
    try:
        texts = texts_of(path, kind, limits)
    except PictureError as error:
        refuse(f"{path}: {error}")
    text = texts.get("weft_workflow")
    if text is not None:
        return read_workflow(text, limits)
    if others := [program for keyword, program in OTHERS.items() if keyword in texts]:
        command = f"`weft import {path} -o workflow.json` makes a workflow of it."
        refuse(f"{path} is a picture without a workflow of weft, but with metadata of {others[0]}: {command}")
    if kind == "PNG":
        refuse(f"{path} is a picture without a workflow; weft writes one into each PNG that it saves.")
    refuse(f"{path} is a picture of the kind {kind}, which carries no workflow: weft reads one from JSON files and "
           "from the PNG, JPEG and WebP files that it saves.")  # fmt: skip


def read_workflow(source: bytes | str | Mapping[str, Any], limits: Limits) -> Workflow:
    """See `Workflow.parse`."""
    data = read_json(source, limits) if isinstance(source, bytes | str) else source
    return _Reader(limits).workflow(data)


class _Reader:
    """Reads one document and gathers what is wrong with it."""

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self.problems: list[Problem] = []

    def workflow(self, data: Any) -> Workflow:
        if not isinstance(data, Mapping):
            refuse(f"A workflow is an object, not {_kind(data)}.", given=_kind(data), expected="an object")
        self._format(data)
        if "nodes" not in data and not self.problems:
            self._fault('There is no "nodes" in the document.')
        nodes = self._object(data, "nodes", "nodes by id")
        if len(nodes) > self.limits.max_nodes:
            message = f"The document has {len(nodes):,} nodes; at most {self.limits.max_nodes:,} are allowed."
            self._fault(message, code="too_large", given=len(nodes), expected=self.limits.max_nodes)
            raise WorkflowError(self.problems)
        known = Workflow.model_fields
        fields: dict[str, Any] = {
            "nodes": {id: self._node(id, node) for id, node in nodes.items()},
            "definitions": self._definitions(data, len(nodes)),
            "parameters": {
                name: self._parameter(name, item)
                for name, item in self._object(data, "parameters", "parameters by name").items()
            },
            "meta": self._literal("meta", self._object(data, "meta", "facts by name")),
            "ui": self._literal("ui", self._object(data, "ui", "what an editor keeps, by node")),
        }
        fields |= {key: self._literal(key, value) for key, value in data.items() if key not in known}
        if self.problems:
            raise WorkflowError(self.problems)
        read = Workflow.model_validate(fields)
        return read if self.limits == LIMITS else read.with_limits(self.limits)

    def _format(self, data: Mapping[str, Any]) -> None:
        if "weft" not in data:
            self._fault('There is no "weft": 1 in the document, so it is no workflow of ours.', expected=FORMAT)
            return
        version = data["weft"]
        if type(version) is int and version > FORMAT:
            message = f"The document has format {version}, made by a newer weft; this one reads {FORMAT}."
            self._fault(message, given=version, expected=FORMAT)
        elif type(version) is not int or version != FORMAT:
            message = f'"weft" is the version of the format, {FORMAT}, not {shown(version)}.'
            self._fault(message, given=shown(version), expected=FORMAT)

    def _object(self, data: Mapping[str, Any], key: str, what: str) -> Mapping[str, Any]:
        value = data.get(key, {})
        if not isinstance(value, Mapping):
            self._fault(f'"{key}" is an object with {what}, not {_kind(value)}.', given=_kind(value))
            return {}
        if odd := [name for name in value if not isinstance(name, str)]:
            self._fault(f'"{key}" has the key {shown(odd[0])}, which is not text.')
            return {}
        return value

    def _definitions(self, data: Mapping[str, Any], nodes: int) -> dict[str, Definition | None]:
        definitions = self._object(data, "definitions", "graphs by name")
        bodies = [item.get("nodes") for item in definitions.values() if isinstance(item, Mapping)]
        count = nodes + len(definitions) + sum(len(body) for body in bodies if isinstance(body, Mapping))
        if count > self.limits.max_nodes:
            message = (
                f"The document and its definitions have {count:,} nodes; at most {self.limits.max_nodes:,} may be."
            )
            self._fault(message, code="too_large", given=count, expected=self.limits.max_nodes)
            raise WorkflowError(self.problems)
        return {name: self._definition(name, item) for name, item in definitions.items()}

    def _definition(self, name: str, data: Any) -> Definition | None:
        before, own = len(self.problems), _Reader(self.limits)
        if not DEFINITION_NAME.fullmatch(name):
            self._fault(
                f"The definition name {shown(name)} is not a letter or _ and up to 63 letters, digits, _ . or -."
            )
        if not isinstance(data, Mapping):
            self._fault(f"The definition {shown(name)} is an object with nodes, not {_kind(data)}.", given=_kind(data))
            return None
        if "nodes" not in data:
            self._fault(f'There are no "nodes" in the definition {shown(name)}.')
        description = data.get("description", "")
        if not isinstance(description, str):
            own._fault(f'"description" is text, not {_kind(description)}.')
        fields: dict[str, Any] = {
            "description": description,
            "inputs": {
                key: own._port(key, item) for key, item in own._object(data, "inputs", "inputs by name").items()
            },
            "nodes": {id: own._node(id, node) for id, node in own._object(data, "nodes", "nodes by id").items()},
            "outputs": {
                key: own._out(key, item) for key, item in own._object(data, "outputs", "outputs by name").items()
            },
            "ui": own._literal("ui", own._object(data, "ui", "what an editor keeps")),
        }
        fields |= {
            key: own._literal(key, value, node="") for key, value in data.items() if key not in Definition.model_fields
        }
        for problem in own.problems:
            inner = f", node {shown(problem.node)}" if problem.node else ""
            message = f"Definition {shown(name)}{inner}: {problem.message}"
            self._fault(message, code=problem.code, given=problem.given, expected=problem.expected)
        return Definition.model_validate(fields) if len(self.problems) == before and not self.problems else None

    def _port(self, name: str, data: Any) -> DefinitionInput | None:
        if not name or not isinstance(data, Mapping):
            self._fault(f'The input {shown(name)} is an object like {{"type": "Model"}}, not {_kind(data)}.')
            return None
        fields = self._typed(name, data)
        if "default" in data:
            fields["default"] = self._guarded(lambda: read_input(data["default"]), "The default", None, name)
        extra = {key: self._literal(key, value, node="") for key, value in data.items() if key not in _PORT_KEYS}
        default = fields.get("default")
        if isinstance(default, Link) or (isinstance(default, list) and any(isinstance(item, Link) for item in default)):
            self._fault(f"The default of the input {shown(name)} is a link; it can be data alone.")
        return None if self.problems else DefinitionInput.model_validate(fields | extra)

    def _out(self, name: str, data: Any) -> DefinitionOutput | None:
        link = data.get("link") if isinstance(data, Mapping) else None
        if not name or not isinstance(data, Mapping) or not isinstance(link, str):
            self._fault(f'The output {shown(name)} is an object like {{"link": "node.output"}}, not {shown(data)}.')
            return None
        fields = self._typed(name, data) | {"link": self._guarded(lambda: Link.parse(link), "The link", None, name)}
        extra = {key: self._literal(key, value, node="") for key, value in data.items() if key not in _OUTPUT_KEYS}
        return None if self.problems else DefinitionOutput.model_validate(fields | extra)

    def _typed(self, name: str, data: Mapping[str, Any]) -> dict[str, Any]:
        fields = {key: data[key] for key in ("type", "description") if key in data}
        if fields.get("type") is not None and (not isinstance(fields["type"], str) or len(fields["type"]) > 200):
            self._fault(f'The "type" of {shown(name)} is the name of a type, not {shown(fields["type"])}.')
        if not isinstance(fields.get("description", ""), str):
            self._fault(f'The "description" of {shown(name)} is text, not {_kind(fields["description"])}.')
        return fields

    def _node(self, id: str, data: Any) -> NodeSpec | None:
        if fault := node_id_fault(id):
            self._fault(fault, node=shown(id), given=shown(id, 100))
        if not isinstance(data, Mapping):
            message = f'A node is an object with "type" and "inputs", not {_kind(data)}.'
            self._fault(message, node=id, given=_kind(data))
            return None
        type_ = data.get("type")
        if not isinstance(type_, str) or not type_:
            message = f'"type" is a name, not {shown(type_)}.' if "type" in data else 'The node has no "type".'
            if misspelt := near("type", (key for key in data if isinstance(key, str))) if "type" not in data else None:
                message += f" Is {shown(misspelt)} meant to be it?"
            self._fault(message, node=id)
        version = data.get("version")
        if version is not None and (type(version) is not int or version < 1):
            message = f'"version" is a whole number from 1, not {shown(version)}.'
            self._fault(message, node=id, given=shown(version))
        mode = data.get("mode")
        if mode is not None and mode not in MODES:
            match = near(mode, MODES) if isinstance(mode, str) else None
            message = f'"mode" is "mute" or "bypass", not {shown(mode)}.'
            self._fault(message, node=id, given=shown(mode), expected=list(MODES), suggestion=match)
        retry, timeout = data.get("retry"), data.get("timeout")
        if fault := retry_fault(retry):
            self._fault(fault, node=id, given=shown(retry))
        if fault := timeout_fault(timeout):
            self._fault(fault, node=id, given=shown(timeout))
        inputs = data.get("inputs", {})
        if not isinstance(inputs, Mapping):
            message = f'"inputs" is an object with values and links by name, not {_kind(inputs)}.'
            self._fault(message, node=id, given=_kind(inputs))
            inputs = {}
        fields: dict[str, Any] = {
            "type": type_,
            "version": version,
            "mode": mode,
            "retry": retry,
            "timeout": timeout,
            "inputs": {name: self._input(id, name, value) for name, value in inputs.items()},
        }
        fields |= {
            key: self._literal(key, value, node=id) for key, value in data.items() if key not in NodeSpec.model_fields
        }
        return None if self.problems else NodeSpec.model_validate(fields)

    def _input(self, node: str, name: Any, value: Any) -> Any:
        if not isinstance(name, str) or not name:
            self._fault(f"The name of an input is text, not {shown(name)}.", node=node)
            return None
        return self._guarded(lambda: read_input(value), "The input", node=node, input=name)

    def _parameter(self, name: str, data: Any) -> Parameter | None:
        target = data.get("input") if isinstance(data, Mapping) else None
        if not isinstance(target, str):
            message = f'The parameter {shown(name)} is an object like {{"input": "node.input"}}, not {shown(data)}.'
            self._fault(message, given=shown(data))
            return None
        fields = self._literal(f"parameters.{name}", data)
        return None if self.problems else Parameter.model_validate(fields)

    def _literal(self, key: Any, value: Any, node: str | None = None) -> Any:
        if not isinstance(key, str):
            self._fault(f"The document has the key {shown(key)}, which is not text.", node=node)
            return None
        data = dict(value) if isinstance(value, Mapping) else value
        room = self.limits.max_depth - (3 if node else 1)
        return self._guarded(lambda: literal(data, room), f'"{key}"', node=node)

    def _guarded(self, read: Callable[[], Any], what: str, node: str | None, input: str | None = None) -> Any:
        try:
            return read()
        except TooDeepError as error:
            self._fault(f"{what} is {error}.", code="too_large", node=node, input=input)
        except (TypeError, ValueError) as error:
            self._fault(f"{what} cannot be read: {error}.", node=node, input=input)
        return None

    def _fault(self, message: str, *, code: Code = "bad_document", **fields: Any) -> None:
        self.problems.append(Problem(code=code, message=message, **fields))
        if len(self.problems) >= self.limits.max_problems:
            raise WorkflowError(self.problems)


_PORT_KEYS = frozenset(DefinitionInput.model_fields)
_OUTPUT_KEYS = frozenset(DefinitionOutput.model_fields)


def _kind(value: Any) -> str:
    """What JSON calls the type of a value."""
    if value is None:
        return "null"
    names = {bool: "true or false", int: "a number", float: "a number", str: "text", list: "a list", dict: "an object"}
    return names.get(type(value), type(value).__name__)
