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
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, PrivateAttr

from weft.graphs.beside import Beside
from weft.graphs.files import write_atomic
from weft.graphs.inputs import Link, links_in, literal, write_input
from weft.graphs.limits import LIMITS, Limits
from weft.graphs.pretty import pretty
from weft.graphs.problems import Problem, WorkflowError, near, shown
from weft.graphs.showing import Shown

__all__ = ["Definition", "DefinitionInput", "DefinitionOutput", "Link", "Mode", "NodeSpec", "Parameter", "Workflow"]

Mode = Literal["mute", "bypass"]
"""How a node is left out of runs: with all that depends on it, or as if its input went straight on."""


class _Part(BaseModel):
    """A part of the document. Keys that this version does not know are kept in `unknown`."""

    model_config = ConfigDict(frozen=True, strict=True, extra="allow")

    @property
    def unknown(self) -> dict[str, Any]:
        """Keys that this version does not know, as they were read."""
        return self.model_extra or {}


class NodeSpec(_Part):
    """One node: its type, the version of that type (None: the newest), its inputs, and whether it is left out.

    An input is JSON data, a `Link`, or a list of these (see `graphs.inputs`); one that is absent has its default.

    Args:
        retry: how often it is called again when it failed; None for what its type says.
        timeout: seconds that a call of it may take; None for what its type says.
    """

    type: str
    version: int | None = None
    mode: Mode | None = None
    retry: int | None = None
    timeout: int | float | None = None
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
        if self.mode is not None:
            result["mode"] = self.mode
        if self.retry is not None:
            result["retry"] = self.retry
        if self.timeout is not None:
            result["timeout"] = self.timeout
        if self.inputs:
            result["inputs"] = {name: write_input(value) for name, value in self.inputs.items()}
        return result | self.unknown


def dependencies(nodes: Mapping[str, NodeSpec]) -> dict[str, list[str]]:
    """What each node links to, in the order of its inputs: a graph as `graphs.order` takes it."""
    return {id: [link.node for _, link in spec.links()] for id, spec in nodes.items()}


class Parameter(_Part):
    """An input that a caller may set by a name of its own: `input` is `"node.input"`."""

    input: str


class DefinitionInput(_Part):
    """What a definition takes. Inside, `{"link": "inputs.<name>"}` stands for it.

    Args:
        type: its type as a person writes it, such as "Model" or "list[Guidance]"; None takes it from where it goes.
        default: JSON data for a node that gives nothing. When there is no such key, the inputs that it goes to are
            absent too, so that their own defaults hold.
        description: what it is for.
    """

    type: str | None = None
    default: Any = None
    description: str = ""

    @property
    def has_default(self) -> bool:
        """Whether there is a default; None is one."""
        return "default" in self.model_fields_set

    def to_dict(self) -> dict[str, Any]:
        """As it stands in a document."""
        result: dict[str, Any] = {"type": self.type} if self.type is not None else {}
        if self.has_default:
            result["default"] = write_input(self.default)
        if self.description:
            result["description"] = self.description
        return result | literal(self.unknown)


class DefinitionOutput(_Part):
    """What a definition gives: an output of an inner node, or one of its own inputs passed on.

    Args:
        link: where the value comes from.
        type: its type as a person writes it; None takes it from there.
        description: what it is.
    """

    link: Link
    type: str | None = None
    description: str = ""

    def to_dict(self) -> dict[str, Any]:
        """As it stands in a document."""
        result: dict[str, Any] = {"link": str(self.link)}
        if self.type is not None:
            result["type"] = self.type
        if self.description:
            result["description"] = self.description
        return result | literal(self.unknown)


class Definition(_Part):
    """A graph that nodes may have as their type (see `graphs.definitions`).

    Args:
        description: what it does.
        inputs: what it takes, in the order people see.
        nodes: the nodes inside by id. No id is "inputs": links to that name lead to what the definition is given.
        outputs: what it gives, the first one first.
        ui: whatever an editor wants to remember.
    """

    description: str = ""
    inputs: dict[str, DefinitionInput] = Field(default_factory=dict)
    nodes: dict[str, NodeSpec] = Field(default_factory=dict)
    outputs: dict[str, DefinitionOutput] = Field(default_factory=dict)
    ui: dict[str, Any] = Field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """As it stands in a document."""
        result: dict[str, Any] = {"description": self.description} if self.description else {}
        if self.inputs:
            result["inputs"] = {name: item.to_dict() for name, item in self.inputs.items()}
        result["nodes"] = {id: node.to_dict() for id, node in self.nodes.items()}
        if self.outputs:
            result["outputs"] = {name: item.to_dict() for name, item in self.outputs.items()}
        if self.ui:
            result["ui"] = literal(self.ui)
        return result | literal(self.unknown)


class Workflow(Shown, _Part):
    """A whole document. The order of `nodes` carries no meaning, `ui` never affects results.

    Args:
        weft: version of the format, 1.
        meta: "title", "description" and anything else about the workflow.
        nodes: the nodes by id.
        definitions: graphs that nodes may have as their type, by name.
        parameters: the inputs that a caller may set, by name.
        ui: whatever an editor wants to remember, by node id.
    """

    weft: Literal[1] = 1
    meta: dict[str, Any] = Field(default_factory=dict)
    nodes: dict[str, NodeSpec] = Field(default_factory=dict)
    definitions: dict[str, Definition] = Field(default_factory=dict)
    parameters: dict[str, Parameter] = Field(default_factory=dict)
    ui: dict[str, Any] = Field(default_factory=dict)
    _beside: Beside = PrivateAttr(default_factory=Beside)

    @property
    def declarations(self) -> Mapping[str, object]:
        """What a graph of this process called, by type name; see `Graph.declarations`. No part of the document."""
        return self._beside.declarations

    def with_declarations(self, declarations: Mapping[str, object]) -> Workflow:
        """A copy that knows what the types of its nodes are."""
        workflow = self.model_copy()
        workflow._beside = Beside(dict(declarations), self.limits)
        return workflow

    @property
    def limits(self) -> Limits:
        """How large the document may be: what it was read with holds for its checks and runs too. No part of it."""
        return self._beside.limits

    def with_limits(self, limits: Limits) -> Workflow:
        """A copy that may be as large as `limits` says."""
        workflow = self.model_copy()
        workflow._beside = Beside(self.declarations, limits)
        return workflow

    def with_nodes(
        self, nodes: Mapping[str, NodeSpec], definitions: Mapping[str, Definition] | None = None
    ) -> Workflow:
        """A copy with other nodes, without what the document says of nodes that are not among them.

        Args:
            definitions: the definitions of the copy; None for all.
        """
        parameters = {name: item for name, item in self.parameters.items() if item.input.partition(".")[0] in nodes}
        ui = {id: item for id, item in self.ui.items() if id in nodes or id not in self.nodes}
        changes = {"nodes": dict(nodes), "parameters": parameters, "ui": ui}
        return self.model_copy(update=changes if definitions is None else changes | {"definitions": dict(definitions)})

    @property
    def title(self) -> str:
        """The title in `meta`, or ""."""
        title = self.meta.get("title", "")
        return title if isinstance(title, str) else ""

    def __repr_args__(self) -> Iterator[tuple[str | None, object]]:
        """What `repr`, `str` and rich show: how much there is of it, since a document may be long."""
        if self.title:
            yield None, self.title[:80]
        yield "nodes", len(self.nodes)
        if self.definitions:
            yield "definitions", len(self.definitions)
        if self.parameters:
            yield "parameters", len(self.parameters)

    def __str__(self) -> str:
        return repr(self)

    # -- from and to text

    @classmethod
    def parse(cls, source: bytes | str | Mapping[str, Any], limits: Limits = LIMITS) -> Workflow:
        """Read a document from JSON text or from what JSON text parses to.

        Args:
            limits: how large it may be; they stay with the document (`limits`), for checks and runs.

        Raises:
            WorkflowError: with every problem of form (`bad_document`, `too_large`). Text that is not strict JSON is
                one problem, with line and column.
        """
        from weft.graphs.reader import read_workflow

        return read_workflow(source, limits)

    @classmethod
    def load(cls, path: str | os.PathLike[str], limits: Limits = LIMITS) -> Workflow:
        """Read a document from a JSON file, or from a PNG that weft saved.

        Raises:
            WorkflowError: as `parse`; `bad_document` also for a file that cannot be read, or a picture without a
                workflow.
        """
        from weft.graphs.reader import load_workflow

        return load_workflow(Path(path), limits)

    def to_dict(self) -> dict[str, Any]:
        """The document as JSON data, a copy: links are objects again, empty sections are left out."""
        result: dict[str, Any] = {"weft": self.weft}
        if self.meta:
            result["meta"] = literal(self.meta)
        result["nodes"] = {id: node.to_dict() for id, node in self.nodes.items()}
        if self.definitions:
            result["definitions"] = {name: item.to_dict() for name, item in self.definitions.items()}
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
        if node in self.nodes:
            right = f"Say which input of the node, as in {shown(f'{node}.input')}."
        elif input:
            right = f"The nodes are {_listed(self.nodes)}."
        elif self.parameters:
            right = f"The parameters are {_listed(self.parameters)}; any input is set as node.input."
        else:
            right = f"It has no parameters; any input is set as node.input. The nodes are {_listed(self.nodes)}."
        raise WorkflowError(
            [
                Problem(
                    code="unknown_input",
                    message=f"There is no parameter or node input {shown(name)} to set. {right}",
                    given=name,
                    expected=list(self.parameters) or None,
                    suggestion=near(name, [one for one in known if "." in one] if input else known),
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


def _listed(names: Iterable[str], limit: int = 20) -> str:
    """Names for a message, the first ones where there are many."""
    known = list(names)
    more = f" and {len(known) - limit} more" if len(known) > limit else ""
    return (", ".join(known[:limit]) or "none") + more
