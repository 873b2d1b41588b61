"""The workflow document: what it is in memory, and its way from and to a file.

    workflow = Workflow.load("red.json")
    workflow.with_values({"seed": 3}).save("red-3.json")

A `Workflow` that came from `parse` or `load` has the right form, but may still link to nothing or go in circles
(`graphs.form`) or name nodes that are not installed (`engine.check`). Treat it as a value: make a new one with
`with_values` or `model_copy` instead of changing it.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from graphs.files import write_atomic
from graphs.inputs import Link, links_in, literal, write_input
from graphs.limits import LIMITS, Limits
from graphs.pretty import pretty
from graphs.problems import Problem, WorkflowError, near, shown

__all__ = ["Link", "NodeSpec", "Parameter", "Workflow"]


class _Part(BaseModel):
    """A part of the document. Keys that this version does not know are kept in `unknown`."""

    model_config = ConfigDict(frozen=True, strict=True, extra="allow")

    @property
    def unknown(self) -> dict[str, Any]:
        """Keys that this version does not know, as they were read."""
        return self.model_extra or {}


class NodeSpec(_Part):
    """One node: its type, the version of that type (None: the newest) and its inputs.

    An input is JSON data, a `Link`, or a list of these (see `graphs.inputs`); one that is absent has its default.
    """

    type: str
    version: int | None = None
    inputs: dict[str, Any] = Field(default_factory=dict)

    def links(self) -> Iterator[tuple[str, Link]]:
        """Each link with the name of the input that holds it."""
        for name, value in self.inputs.items():
            for link in links_in(value):
                yield name, link

    def to_dict(self) -> dict[str, Any]:
        """The node as it stands in a document."""
        result: dict[str, Any] = {"type": self.type}
        if self.version is not None:
            result["version"] = self.version
        if self.inputs:
            result["inputs"] = {name: write_input(value) for name, value in self.inputs.items()}
        return result | self.unknown


class Parameter(_Part):
    """An input that a caller may set by a name of its own: `input` is `"node.input"`."""

    input: str


class Workflow(_Part):
    """A whole document. The order of `nodes` carries no meaning, `ui` never affects results.

    Args:
        weft: version of the format, 1.
        meta: "title", "description" and anything else about the workflow.
        nodes: the nodes by id.
        parameters: the inputs that a caller may set, by name.
        ui: whatever an editor wants to remember, by node id.
    """

    weft: Literal[1] = 1
    meta: dict[str, Any] = Field(default_factory=dict)
    nodes: dict[str, NodeSpec] = Field(default_factory=dict)
    parameters: dict[str, Parameter] = Field(default_factory=dict)
    ui: dict[str, Any] = Field(default_factory=dict)

    @property
    def title(self) -> str:
        """The title in `meta`, or ""."""
        title = self.meta.get("title", "")
        return title if isinstance(title, str) else ""

    # -- from and to text

    @classmethod
    def parse(cls, source: bytes | str | Mapping[str, Any], limits: Limits = LIMITS) -> Workflow:
        """Read a document from JSON text or from what JSON text parses to.

        Raises:
            WorkflowError: with every problem of form (`bad_document`, `too_large`). Text that is not strict JSON is
                one problem, with line and column.
        """
        from graphs.reader import read_workflow

        return read_workflow(source, limits)

    @classmethod
    def load(cls, path: str | os.PathLike[str], limits: Limits = LIMITS) -> Workflow:
        """Read a document from a JSON file, or from a PNG that weft saved.

        Raises:
            WorkflowError: as `parse`; `bad_document` also for a file that cannot be read, or a picture without a
                workflow.
        """
        from graphs.reader import load_workflow

        return load_workflow(Path(path), limits)

    def to_dict(self) -> dict[str, Any]:
        """The document as JSON data, a copy: links are objects again, empty sections are left out."""
        result: dict[str, Any] = {"weft": self.weft}
        if self.meta:
            result["meta"] = literal(self.meta)
        result["nodes"] = {id: node.to_dict() for id, node in self.nodes.items()}
        if self.parameters:
            result["parameters"] = {name: item.model_dump() for name, item in self.parameters.items()}
        if self.ui:
            result["ui"] = literal(self.ui)
        return result | literal(self.unknown)

    def to_json(self, *, compact: bool = False) -> str:
        """The document as text: laid out for people, or on one line."""
        data = self.to_dict()
        return json.dumps(data, ensure_ascii=False, separators=(",", ":")) if compact else pretty(data) + "\n"

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the document to a JSON file, all or nothing. Raises OSError when that fails."""
        write_atomic(path, self.to_json().encode())

    # -- the graph

    def links(self) -> Iterator[tuple[str, str, Link]]:
        """Every link: (id of the node that holds it, name of the input, the link)."""
        for id, node in self.nodes.items():
            for name, link in node.links():
                yield id, name, link

    # -- what a caller may set

    def resolve_parameter(self, name: str) -> tuple[str, str]:
        """The (node, input) that a parameter's name, or a dotted `node.input`, stands for.

        Only the node is looked up: whether it has such an input, its type says.

        Raises:
            WorkflowError: `unknown_input` for a name that is neither, `unknown_link` for a parameter of a node that
                is not there.
        """
        parameter = self.parameters.get(name)
        target = parameter.input if parameter is not None else name
        node, _, input = target.partition(".")
        if node in self.nodes and input:
            return node, input
        if parameter is not None:
            message = f"The parameter {shown(name)} sets {shown(target)}, but there is no such node."
            raise WorkflowError([Problem(code="unknown_link", message=message, given=target)])
        known = [*self.parameters, *(f"{id}.{name}" for id, spec in self.nodes.items() for name in spec.inputs)]
        raise WorkflowError(
            [
                Problem(
                    code="unknown_input",
                    message=f"There is no parameter or node input {shown(name)} to set.",
                    given=name,
                    expected=list(self.parameters) or None,
                    suggestion=near(name, known),
                )
            ]
        )

    def with_values(self, values: Mapping[str, Any]) -> Workflow:
        """A copy with inputs set, by parameter name or `node.input`; a link that was there is replaced.

        Args:
            values: JSON values of the type that the input takes; they are not converted.

        Raises:
            WorkflowError: every name that does not exist, and `bad_value` for what is not JSON data.
        """
        problems: list[Problem] = []
        nodes = dict(self.nodes)
        for name, value in values.items():
            try:
                node, input = self.resolve_parameter(name)
                inputs = nodes[node].inputs | {input: literal(value)}
                nodes[node] = nodes[node].model_copy(update={"inputs": inputs})
            except WorkflowError as error:
                problems += error.problems
            except (TypeError, ValueError) as error:
                message = f"The value of {shown(name)} cannot stand in a document: {error}."
                problems.append(Problem(code="bad_value", node=node, input=input, message=message))
        if problems:
            raise WorkflowError(problems)
        return self.model_copy(update={"nodes": nodes})
